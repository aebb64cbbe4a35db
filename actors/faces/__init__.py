"""The faces of the node: console commands, read-only towards the log."""
