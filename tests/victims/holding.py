"""Open ever more files and start ever more threads, and close and end none."""

import os
import sys
import threading
import time

held: list[object] = []
print("READY", flush=True)
while True:
    time.sleep(0.05)
    if len(held) < 600:
        held.append(os.open(sys.argv[0], os.O_RDONLY))
        held.append(thread := threading.Thread(target=threading.Event().wait, daemon=True))
        thread.start()
