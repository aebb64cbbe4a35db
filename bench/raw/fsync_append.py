"""What the disk gives: appends of so many bytes to one file, each made durable before the next."""

import os
import time
from pathlib import Path


def appends_per_second(folder: Path, size: int, count: int) -> float:
    """Write and fdatasync `count` blocks one after the other."""
    file = os.open(folder / "appended", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    block = os.urandom(size)
    began = time.perf_counter()
    for _ in range(count):
        os.write(file, block)
        os.fdatasync(file)
    took = time.perf_counter() - began
    os.close(file)
    return count / took
