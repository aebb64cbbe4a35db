"""Grow in the manner that is asked for: leak RATE (MB a second), warm-up, or saw-tooth."""

import sys
import time

manner = sys.argv[1]
rate = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
held: list[bytearray] = []
began = time.monotonic()
print("READY", flush=True)
while True:
    time.sleep(0.25)
    seconds = time.monotonic() - began
    if manner == "saw-tooth" and len(held) > 60:
        held.clear()
    if manner != "warm-up" or seconds < 15:
        held.append(bytearray(b"x" * int(rate * 250_000)))
