"""Tests, laid out as the floors they prove."""
