"""Backups of real nodes of earlier releases, kept for ever, and how they were made."""
