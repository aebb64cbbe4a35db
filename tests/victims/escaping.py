"""Leave a grandchild in a session of its own that ends with 5 when the gate opens: escaping.py GATE."""

import fcntl
import os
import sys

if os.fork() == 0:
    os.setsid()
    gate = os.open(sys.argv[1], os.O_RDONLY)
    os.write(1, f"CHILD {os.getpid()}\n".encode())
    fcntl.flock(gate, fcntl.LOCK_SH)
    os._exit(5)
