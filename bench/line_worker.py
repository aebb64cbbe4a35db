"""A trivial worker: appends "pid, monotonic ns, wall ns" to a file as its first act, then sleeps.

line_worker.py FILE [ignore-term] [grandchild]
"""

import os
import signal
import subprocess
import sys
import time

if "ignore-term" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "grandchild" in sys.argv:
    subprocess.Popen(["sleep", "3600"], start_new_session=True)
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
os.write(file, b"%d %d %d\n" % (os.getpid(), time.monotonic_ns(), time.time_ns()))
while True:
    time.sleep(3600)
