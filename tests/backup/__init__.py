"""Backups, restored folders, upgrades, and the data folders of earlier releases."""
