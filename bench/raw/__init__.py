"""Fixed programs of the physical limit: what the machine gives without us."""
