"""Series of public data sets as five-minute means: what forecasts and leak rules are judged on."""

import csv
import gzip
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

SLOT_S = 300

# Folders of ms_cloud_monitoring whose load follows the day, minute by minute.
SEASONAL = ("data-ingress-rate", "mongodb-application-rps", "mongodb-machine-rps")
_COLUMNS = {"alibaba": "cpu_util_percent", "azure": "cpu_usage", "google": "avg_cpu"}


class Series:
    """A name, the slot (five minutes since 1970) of its first value, and one value for each slot."""

    def __init__(self, name: str, group: str, values: dict[int, list[float]]) -> None:
        self.name = name
        self.group = group
        self.first = min(values)
        self.values: list[float] = []
        last = 0.0
        for slot in range(self.first, max(values) + 1):
            found = values.get(slot)
            last = sum(found) / len(found) if found else last
            self.values.append(last)


def load_series(data: Path) -> Iterator[Series]:
    """Yield every series found below `data` that is as fine as five minutes, group by group."""
    root = data / "ms_cloud_monitoring"
    for folder in SEASONAL:
        for path in sorted((root / folder).glob("*.csv")):
            yield Series(path.stem, "seasonal", _stamped(path, "TimeStamp", "Value"))
    for folder in ("realAWSCloudwatch", "realKnownCause"):
        for path in sorted((data / "nab" / folder).glob("*.csv")):
            values = _stamped(path, "timestamp", "value")
            if len(values) * 2 > max(values) - min(values):
                yield Series(path.stem, "NAB cloud", values)
    for path in sorted((data / "dc_util").glob("*.csv")):
        column = next((_COLUMNS[name] for name in _COLUMNS if path.name.startswith(name)), "")
        if column and "_30_seconds" not in path.name:
            rows = _rows(path)
            values = {slot: [float(row[column])] for slot, row in enumerate(rows)}
            yield Series(path.stem.split("_")[0], "data centres", values)
    trace = data / "gentd26" / "lora_request_trace.csv"
    if trace.exists():
        yield Series("gentd26 work", "gentd26 work", _work(trace))


def load_pods(data: Path, slot_s: int = SLOT_S) -> dict[str, dict[int, list[float]]]:
    """Return each pod's memory in percent by slot of `slot_s` seconds."""
    pods: dict[str, dict[int, list[float]]] = {}
    for row in _rows(data / "gentd26" / "pod_memory_util_anon.csv.gz"):
        slot = int(float(row["timestamp_anon"])) // slot_s
        pods.setdefault(row["container_ip"], {}).setdefault(slot, []).append(100.0 * float(row["value"]))
    return pods


def _stamped(path: Path, time: str, value: str) -> dict[int, list[float]]:
    values: dict[int, list[float]] = {}
    for row in _rows(path):
        at = datetime.fromisoformat(row[time].replace("Z", "")).replace(tzinfo=UTC)
        values.setdefault(int(at.timestamp()) // SLOT_S, []).append(float(row[value]))
    return values


def _work(path: Path) -> dict[int, list[float]]:
    """Return the seconds of work that arrive in each slot."""
    sums: dict[int, float] = {}
    for row in _rows(path):
        at = datetime.fromisoformat(row["gmt_create"]).replace(tzinfo=UTC)
        slot = int(at.timestamp()) // SLOT_S
        sums[slot] = sums.get(slot, 0.0) + float(row["exec_time_seconds"] or 0)
    return {slot: [sums.get(slot, 0.0)] for slot in range(min(sums), max(sums) + 1)}


def _rows(path: Path) -> list[dict[str, str]]:
    opened: Callable[..., object] = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:  # type: ignore[attr-defined]
        return list(csv.DictReader(file))
