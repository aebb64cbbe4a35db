"""Tests of the example forest."""
