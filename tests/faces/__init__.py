"""What people and scripts see: the command line, run in place and as a program."""
