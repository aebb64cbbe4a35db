"""The dashboard over HTTP, served by a real node."""
