"""Tests of who acts: actors, the processes they start and what they say to each other."""
