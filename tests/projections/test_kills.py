"""kill -9 of whoever follows the log: nothing lost, nothing doubled, nothing half done."""

import signal
import subprocess
import sys
from pathlib import Path

from projections.chain import Chain
from projections.warehouse import Warehouse
from tests.projections.scenes import stored
from tests.projections.test_warehouse import ROOT, busy, contents

PROJECT = """
import sys
from pathlib import Path
from projections.warehouse import Warehouse
from tests.projections.test_warehouse import busy
warehouse = Warehouse.open(Path(sys.argv[1]))
events = busy(int(sys.argv[2]))
print("open", warehouse.checkpoint, flush=True)
while warehouse.checkpoint < len(events):
    warehouse.add(events[warehouse.checkpoint : warehouse.checkpoint + 40])
    print(warehouse.checkpoint, flush=True)
"""


def test_ten_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    path, count = tmp_path / "w.duckdb", 20_000
    said = 0
    for kill in range(10):
        child = subprocess.Popen(
            [sys.executable, "-c", PROJECT, path, str(count)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        found = int(child.stdout.readline().split()[1])
        assert found >= said, "a batch that was acknowledged is gone"
        for _ in range(3 + 4 * kill):
            said = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = [line for line in child.stdout.read().splitlines() if line]
        said = int(rest[-1]) if rest else said
        child.wait()
        child.stdout.close()
        warehouse = Warehouse.open(path)
        cursor = warehouse.cursor()
        rows_, distinct, last = cursor.execute(
            "SELECT count(*), count(DISTINCT position), max(position) FROM log"
        ).fetchall()[0]
        cursor.close()
        assert rows_ == distinct == last == warehouse.checkpoint >= said
        chain = Chain()
        chain.extend(busy(warehouse.checkpoint))
        assert warehouse.chain == chain
        warehouse.close()
    again = Warehouse.open(path)
    before = contents(again)
    again.rebuild()
    assert contents(again) == before
    again.close()


def test_a_kill_in_a_rebuild_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    warehouse = stored(path, busy(9000))
    before = contents(warehouse)
    warehouse.close()
    code = (
        "import sys; from pathlib import Path; from projections.warehouse import Warehouse\n"
        "w = Warehouse.open(Path(sys.argv[1]))\n"
        "w.rebuild(lambda done, whole: print(done, flush=True))"
    )
    child = subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert int(child.stdout.readline()) < 9000
    child.kill()
    child.wait()
    child.stdout.close()
    again = Warehouse.open(path)
    assert contents(again) == before
    again.close()
