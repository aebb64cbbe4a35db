"""Have a child that ended and is never waited for."""

import os
import signal

child = os.fork()
if child == 0:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
print("ZOMBIE", child, flush=True)
signal.pause()
