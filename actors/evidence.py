"""Evidence before force: what a unit does is looked at for at most two seconds and kept in a file."""

import os
import re
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from actors.process import Identity, read_stat
from actors.processes import Processes
from actors.runner_marks import executing
from actors.stacks import Dump, by_fault_handler, by_spy, function_of, spy_program, waits
from events.observations import EvidenceTaken, ProcessLook

BUDGET_S = 2.0
LOOKS = 5
_GAP_S = 0.2
_LINES = 50
_TAIL = 64 * 1024
_MEMBERS = 12
_FILES = 64
_KEPT = 20
_SPY_S = 0.4


class Question(Struct, frozen=True, kw_only=True):
    """Which unit, and what it is suspected of; `pid` is the process in question, 0 for its main one."""

    unit: str
    generation: int
    kind: str
    marker: str
    identity: Identity
    pid: int = 0


class Examiner:
    """Takes evidence of any unit into `<data>/evidence`. Blocks its caller; never raises."""

    def __init__(self, data: Path, processes: Processes, redact: Sequence[str] = ()) -> None:
        self._data = data
        self._processes = processes
        self._redact = [re.compile(pattern) for pattern in redact]

    def examine(self, question: Question) -> EvidenceTaken:
        """Look, keep, and say what was seen; with `error` set where that failed."""
        began = time.monotonic()
        try:
            return self._examine(question, began)
        except Exception as problem:
            # Whatever goes wrong here, the unit is healed all the same.
            return EvidenceTaken(
                unit=question.unit,
                generation=question.generation,
                kind=question.kind,
                pid=question.pid,
                error=f"{type(problem).__name__}: {problem}"[:300],
                took_ms=_ms(began),
            )

    def _examine(self, question: Question, began: float) -> EvidenceTaken:
        log = self._data / "logs" / f"{question.unit}.log"
        tail = self._tail(log)
        family = self._processes.members(question.marker, question.identity)
        pid = question.pid if question.pid in family else question.identity.pid
        look, dumps = _watch(pid, log, began + BUDGET_S * 0.75)
        looks = [look]
        members: list[dict[str, Any]] = [_described(pid, look, dumps)]
        for other in [one for one in family if one != pid][:_MEMBERS]:
            if time.monotonic() - began < BUDGET_S * 0.9:
                seen = _glance(other)
                members.append(_described(other, seen, []))
                if other == question.identity.pid:
                    looks.append(seen)
        memory = sum(int(member["memory"].get("Rss", 0)) for member in members)
        tasks = executing(self._data / "spool", question.unit, question.generation)
        record = {
            "unit": question.unit,
            "generation": question.generation,
            "kind": question.kind,
            "time": time.time_ns() // 1000,
            "tasks": sorted(tasks or ()),
            "processes": members,
            "log": tail,
        }
        file, digest = self._keep(question, msgspec.json.encode(record))
        return EvidenceTaken(
            unit=question.unit,
            generation=question.generation,
            kind=question.kind,
            file=file,
            digest=digest,
            source=dumps[-1].source if dumps else "kernel",
            pid=pid,
            memory=memory,
            looks=tuple(looks),
            took_ms=_ms(began),
        )

    def _tail(self, log: Path) -> list[str]:
        try:
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - _TAIL))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        return [self._blackened(line) for line in text.splitlines()[-_LINES:]]

    def _blackened(self, text: str) -> str:
        for pattern in self._redact:
            text = pattern.sub("***", text)
        return text

    def _keep(self, question: Question, data: bytes) -> tuple[str, str]:
        folder = self._data / "evidence"
        folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{question.unit}.{question.generation}.{time.time_ns() // 1_000_000}.json"
        fresh = folder / f".{name}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        fresh.rename(folder / name)
        for old in sorted(folder.glob(f"{question.unit}.*.json"), key=_age)[:-_KEPT]:
            old.unlink(missing_ok=True)
        return f"evidence/{name}", blake2b(data, digest_size=16).hexdigest()


def _watch(pid: int, log: Path, deadline: float) -> tuple[ProcessLook, list[Dump]]:
    """Look several times at one process: what stays the same, and how much it computes meanwhile."""
    program = spy_program()
    began, (ran, queued) = time.monotonic(), _computed_s(pid)
    dumps: list[Dump] = []
    held = 0
    for number in range(LOOKS):
        begun = time.monotonic()
        if begun > deadline:
            break
        dump = by_spy(program, pid, _SPY_S) if program else None
        if dump is None:
            program = ""
            dump = by_fault_handler(pid, log)
        if dump is None:
            # Neither way leads in; its computing is measured all the same.
            time.sleep(max(0.0, min(deadline, began + LOOKS * _GAP_S) - time.monotonic()))
            break
        dumps.append(dump)
        held += dump.gil
        if number < LOOKS - 1:
            time.sleep(max(0.0, begun + _GAP_S - time.monotonic()))
    spent = max(0.01, time.monotonic() - began)
    seen = _glance(pid)
    ran_now, queued_now = _computed_s(pid)
    functions = [function_of(dump.main) for dump in dumps]
    last = dumps[-1] if dumps else None
    return ProcessLook(
        pid=pid,
        status=seen.status,
        cpu=max(0, round(1000 * (ran_now - ran) / spent)),
        demand=max(0, round(1000 * (ran_now - ran + queued_now - queued) / spent)),
        threads=seen.threads,
        wait=seen.wait,
        stacks=last.digest if last else "",
        frame=(last.main[0] if last and last.main else ""),
        same=functions.count(functions[-1]) if functions and functions[-1] else 0,
        looks=len(dumps),
        gil=held >= 2 and held == len(dumps),
    ), dumps


def _glance(pid: int) -> ProcessLook:
    stat = read_stat(pid)
    return ProcessLook(
        pid=pid,
        status=stat.state if stat else "X",
        cpu=0,
        threads=stat.threads if stat else 0,
        wait=waits(pid),
    )


def _computed_s(pid: int) -> tuple[float, float]:
    """Return how long all living threads have computed and have waited for a core, in seconds."""
    ran = queued = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            times = Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()
            ran, queued = ran + int(times[0]), queued + int(times[1])
    except (OSError, ValueError, IndexError):
        pass
    return ran / 1e9, queued / 1e9


def _described(pid: int, look: ProcessLook, dumps: list[Dump]) -> dict[str, Any]:
    return {
        "pid": pid,
        "look": look,
        "stacks": dumps,
        "memory": _memory(pid),
        "files": _files(pid),
    }


def _memory(pid: int) -> dict[str, int]:
    """Return resident, proportional and own memory in bytes."""
    found: dict[str, int] = {}
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, _, rest = line.partition(":")
            found[name] = int(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        return found
    found["Uss"] = found.get("Private_Clean", 0) + found.get("Private_Dirty", 0)
    return {name: found.get(name, 0) for name in ("Rss", "Pss", "Uss", "Swap")}


def _files(pid: int) -> list[str]:
    found = []
    try:
        for name in sorted(os.listdir(f"/proc/{pid}/fd"), key=int)[:_FILES]:
            found.append(f"{name} {os.readlink(f'/proc/{pid}/fd/{name}')}")
    except OSError:
        return found
    return found


def _age(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _ms(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
