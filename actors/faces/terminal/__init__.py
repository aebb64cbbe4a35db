"""The dashboard in a terminal: the node's own page of what is now, live, with keys for what people do."""
