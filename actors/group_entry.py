"""Enters a cgroup and becomes the program: `python -I -S group_entry.py <cgroup.procs> program argument …`."""

import os
import sys


def main(procs: str, *argv: str) -> None:
    """Write our pid, then exec: the pid stays, and nothing runs outside the group for a moment."""
    with open(procs, "w") as file:
        file.write(f"{os.getpid()}\n")
    os.execvp(argv[0], argv)  # noqa: S606 - that there is no shell is the point


if __name__ == "__main__":
    main(*sys.argv[1:])
