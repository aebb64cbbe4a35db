"""Floor 1, pure: what can be said in the log, how it is written down, and what a log promises."""
