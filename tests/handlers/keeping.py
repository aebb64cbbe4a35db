"""A handler that never lets go of what its tasks brought: so many megabytes each."""

import time

KEPT = []


def keep(task):
    KEPT.append(bytearray(b"x" * int(task["payload"] * 1_000_000)))
    time.sleep(0.04)
