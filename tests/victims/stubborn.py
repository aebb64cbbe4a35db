"""Ignore TERM and say so on USR1."""

import os
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"STILL HERE\n"))
print("READY", flush=True)
while True:
    signal.pause()
