"""How often the leak rules accuse a process that does not leak, and which leaks they find.

Memory of real pods, in percent of their limit, goes through the same fold as a worker's. Each time the rules begin to
accuse a pod counts as a false alarm, though some pods may really leak. Then a ramp of so many points an hour is added
to each pod that was seen for nine hours or more without a restart (a fall by 30 %): it is found if it is accused before
its record ends. What a fast ramp leaves time for is said beside: found below the limit, of those pods that use at most
half of it.

DATA is a folder with gentd26 (github.com/alibaba/clusterdata, cluster-trace-v2026-GenAI) and, as far as wanted,
eso_memory (github.com/BenjaminCarpenter480/memorytools) and precog.
"""

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.elves.leak import Watch, look
from bench.figures import Report, arguments, machine
from bench.series import load_pods
from projections.growth import SLOT_US, Memory

RAMPS = (0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 18.0, 24.0, 48.0)
LEAST_SLOTS = 108
_SAMPLE_S = 57

Sampled = Sequence[tuple[int, float]]


def accusations(samples: Sampled, limit: float, ramp: float = 0.0) -> list[tuple[int, str, float]]:
    """Return when and by which path a process begins to be accused, and how full it was; times in microseconds.

    `ramp` is added in points of the limit an hour.
    """
    memory, watch = Memory(), Watch()
    began = samples[0][0]
    memory.restart(1, began)
    found: list[tuple[int, str, float]] = []
    accused = False
    for at, value in samples:
        used = value + ramp * limit / 100 * (at - began) / 3.6e9
        if memory.observe(at, used, 0):
            watch.found = look("p", watch, memory, limit)
            if watch.found and not accused:
                found.append((at, watch.found.path, watch.found.percent))
            accused = watch.found is not None
    return found


def pods(data: Path) -> dict[str, Sampled]:
    """Return every pod's samples: time in microseconds, percent."""
    found: dict[str, Sampled] = {}
    for name, slots in load_pods(data, _SAMPLE_S).items():
        if name:
            found[name] = [
                (slot * _SAMPLE_S * 1_000_000, max(values)) for slot, values in sorted(slots.items())
            ]
    return found


def processes(data: Path) -> Iterator[tuple[str, Sampled]]:
    """Yield the processes of eso_memory: start-up ramps second by second."""
    for path in sorted((data / "eso_memory").glob("*.csv")):
        by_process: dict[str, list[tuple[int, float]]] = {}
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                at = int(datetime.fromisoformat(row["Time"]).timestamp() * 1e6)
                key = f"{path.stem}/{row['Process Name']}"
                by_process.setdefault(key, []).append((at, float(row["Memory Usage"])))
        yield from ((name, sorted(samples)) for name, samples in by_process.items())


def longest(samples: Sampled) -> int:
    """Return the slots of the longest stretch without a restart."""
    slots: dict[int, list[float]] = {}
    for at, value in samples:
        slots.setdefault(at // SLOT_US, []).append(value)
    middles = {slot: median(values) for slot, values in sorted(slots.items())}
    best, began, before = 0, samples[0][0] // SLOT_US, 0.0
    for slot, middle in middles.items():
        if middle < before * 0.7:
            began = slot
        best, before = max(best, slot - began + 1), middle
    return best


def days(samples: Sampled) -> float:
    """Return how long a process was seen."""
    return (samples[-1][0] - samples[0][0]) / 86_400e6


def main() -> None:
    """Judge the rules on everything below DATA."""
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder with the data sets")
    options = parser.parse_args()
    report = Report("leaks", options.json)
    print(machine())
    found = pods(options.data)
    whole = sum(days(samples) for samples in found.values())
    alarms = [item for samples in found.values() for item in accusations(samples, 100.0)]
    report.row(
        "false alarms per pod-day",
        len(alarms) / whole,
        "",
        goal="<= 0.15",
        pods=len(found),
        pod_days=whole,
        fast=sum(path == "fast" for _, path, _ in alarms),
    )
    long = {name: item for name, item in found.items() if longest(item) >= LEAST_SLOTS}
    goals = {2.0: "100 %", 1.0: ">= 55 %"}
    for ramp in RAMPS:
        tried = [(samples, accusations(samples, 100.0, ramp)) for samples in long.values()]
        hits = [found[0] for _, found in tried if found]
        roomy = [found for samples, found in tried if max(value for _, value in samples) <= 50.0]
        early = [found for found in roomy if found and found[0][2] < 100.0]
        report.row(
            f"found at {ramp:g} points an hour",
            100.0 * len(hits) / len(long),
            "%",
            goal=goals.get(ramp, ""),
            pods=len(long),
            below_the_limit=f"{len(early)} of {len(roomy)}",
            fast=sum(path == "fast" for _, path, _ in hits),
        )
    started = list(processes(options.data))
    if started:
        accused = [name for name, item in started if accusations(item, 4.0 * max(value for _, value in item))]
        report.row("processes accused while they start", len(accused), f"of {len(started)}", goal="0")


if __name__ == "__main__":
    main()
