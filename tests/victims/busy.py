"""Burn 0.1 s of CPU, hold 40 MiB, two threads, five descriptors and a waiting child."""

import os
import signal
import threading
import time

held = bytearray(os.urandom(1 << 20) * 40)
files = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
child = os.fork()
if child == 0:
    signal.pause()
threading.Thread(target=threading.Event().wait, daemon=True).start()
while time.process_time() < 0.1:
    sum(range(1000))
print("READY", flush=True)
signal.pause()
