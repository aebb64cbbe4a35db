"""Runs this folder as an application: from a checkout, as `python -m elf_forest`, or as the command `elf`."""

import os
import sys


def main() -> int:
    """Hand over to the runner or to the command line; a runner starts without cyclopts and rich."""
    folder = os.path.dirname(os.path.realpath(__file__))
    if sys.path[0] != folder:
        sys.path.insert(0, folder)
    if sys.argv[1:2] == ["runner"]:
        from actors.runner import main as run
    else:
        from cli import main as run
    return run()


if __name__ == "__main__":
    sys.exit(main())
