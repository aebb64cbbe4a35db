"""Scenarios on a running node: real processes, a real server, real signals."""
