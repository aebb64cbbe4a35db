"""Threads that read the same struct types for the first time at the same moment."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Without `settle_types` most runs of this end by SIGSEGV.
_PROGRAM = """
import random, sys, threading
import msgspec
import actors.node
from actors.struct_types import settle_types

def everything(kind):
    for below in kind.__subclasses__():
        yield below
        yield from everything(below)

def written(kind):
    try:
        return msgspec.json.encode(kind())
    except TypeError:
        return b""

settle_types()
sys.setswitchinterval(1e-6)
kinds = [(kind, data) for kind in everything(msgspec.Struct) if (data := written(kind))]
together = threading.Barrier(8)

def read(seed):
    mine = list(kinds)
    random.Random(seed).shuffle(mine)
    together.wait()
    for kind, data in mine:
        try:
            msgspec.json.decode(data, type=kind)
        except (TypeError, msgspec.ValidationError):
            pass

threads = [threading.Thread(target=read, args=(number // 2,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(kinds))
"""


@pytest.mark.smoke
def test_settled_types_may_be_read_by_many_threads_at_once() -> None:
    for _ in range(4):
        said = subprocess.run([sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        assert int(said.stdout) > 50
