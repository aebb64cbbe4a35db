"""Wait until the gate (a locked file) opens, then end: gated.py GATE CODE (negative: by that signal)."""

import fcntl
import os
import sys

gate = os.open(sys.argv[1], os.O_RDONLY)
print("READY", flush=True)
fcntl.flock(gate, fcntl.LOCK_SH)
code = int(sys.argv[2])
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
