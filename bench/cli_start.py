"""How long short commands take from start to end: help without a node, status beside a running one."""

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import Report, arguments, machine, spread, workdir
from bench.nodes import running
from bench.programs import ROOT, python


def times(command: Sequence[str], runs: int) -> tuple[list[float], float]:
    """Run a command so many times; return the ms of each and the mean ms of processor time."""
    took = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(runs):
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, check=False)
        took.append((time.perf_counter() - began) * 1000)
        if done.returncode:
            raise RuntimeError(f"expected {command} to succeed, got {done.stderr.decode()[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, used * 1000 / runs


def main() -> None:
    """Run all parts and say the figures."""
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    report = Report("cli_start", options.json)
    print(machine())
    elf = python(ROOT / "__main__.py")
    bare = median(times(python("-c", "pass"), options.runs)[0])
    took, cpu = times([*elf, "--help"], options.runs)
    beside = "python -c pass"
    report.row(
        "elf --help",
        median(took),
        "ms",
        beside=beside,
        raw=bare,
        goal="<= 200 ms",
        cpu_ms=cpu,
        all=spread(took),
    )
    took, cpu = times([*elf, "--version"], options.runs)
    report.row("elf --version", median(took), "ms", beside=beside, raw=bare, cpu_ms=cpu, all=spread(took))
    forest = '[node]\nname = "NODE_NAME"\n[[worker]]\nname = "line"\ncommand = ["sleep", "3600"]\n'
    with workdir("cli") as folder, running(folder, forest) as node:
        data = ["--data", str(node.data)]
        for words in (["status"], ["why", "line"], ["sql", "SELECT count(*) FROM log"]):
            took, cpu = times([*elf, *words, *data], options.runs)
            report.row(
                f"elf {' '.join(words)}",
                median(took),
                "ms",
                beside=beside,
                raw=bare,
                cpu_ms=cpu,
                all=spread(took),
            )


if __name__ == "__main__":
    main()
