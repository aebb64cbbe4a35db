"""What the machine does meanwhile: every 5 ms a short write and fdatasync; says p50, p99, worst in ms.

disk_probe.py FILE SECONDS
"""

import os
import sys
import time

file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600)
took = []
end = time.perf_counter() + float(sys.argv[2])
while time.perf_counter() < end:
    due = time.perf_counter() + 0.005
    time.sleep(0.005)
    os.pwrite(file, b"x" * 400, 0)
    os.fdatasync(file)
    took.append((time.perf_counter() - due) * 1000)
took.sort()
print(took[len(took) // 2], took[int(len(took) * 0.99)], took[-1])
