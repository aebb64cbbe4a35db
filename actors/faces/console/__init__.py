"""The bodies of the `elf` commands, one file a group."""
