"""Folds by given and then, one file for each."""
