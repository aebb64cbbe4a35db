"""Runs this folder as an application: from a checkout, as `python -m elf_forest`, or as the command `elf`."""

import os
import sys


def main() -> int:
    """Hand over to the command line, or to a process that runs on without it: a runner, a node."""
    folder = os.path.dirname(os.path.realpath(__file__))
    if sys.path[0] != folder:
        sys.path.insert(0, folder)
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if word == "runner":
        from actors.runner import main as run
    elif word == "node-process":
        from actors.faces.console.node_process import main as run
    else:
        from cli import main as run
    return run()


if __name__ == "__main__":
    sys.exit(main())
