"""Programs that measure the product beside the raw limit of the machine, in the same run."""
