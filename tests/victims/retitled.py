"""Overwrite the environment as setproctitle does; a child of ours has an empty one and its own session."""

import os
import signal
import sys

child = os.fork()
if child == 0:
    os.setsid()
    ready = "import os, signal; os.write(1, b'CHILD %d' % os.getpid() + bytes([10])); signal.pause()"
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", ready], {})
with open("/proc/self/stat", "rb") as file:
    fields = file.read().rpartition(b")")[2].split()
start, end = int(fields[47]), int(fields[48])  # env_start, env_end
with open("/proc/self/mem", "r+b", buffering=0) as memory:
    memory.seek(start)
    memory.write(bytes(end - start))
os.write(1, b"READY\n")
signal.pause()
