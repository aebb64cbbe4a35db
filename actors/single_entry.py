"""Becomes a program that may run once only: `python -I -S single_entry.py <lock file> program argument …`.

The program inherits the lock and holds it as long as any process of it lives, whoever started it. Exit code 75:
another one has it.
"""

import fcntl
import os
import sys

TAKEN = 75


def main(lock: str, *argv: str) -> None:
    """Take the lock, then exec: the pid stays."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(
            f"expected {lock} to be free, got another {os.path.basename(argv[0])} that holds it",
            file=sys.stderr,
        )
        sys.exit(TAKEN)
    os.set_inheritable(descriptor, True)
    os.execvp(argv[0], argv)  # noqa: S606 - that there is no shell is the point


if __name__ == "__main__":
    main(*sys.argv[1:])
