"""Figures of one run: medians, quantiles, printed rows of what is ours beside the raw limit."""

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of all values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(values: Sequence[float]) -> str:
    """Say the median with the least and the greatest value."""
    return f"{show(median(values))} ({show(min(values))}-{show(max(values))}, n={len(values)})"


def show(value: float) -> str:
    """Write a number with three digits that count."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


class Report:
    """Collects the rows of one program and prints each at once; `--json FILE` appends them for later."""

    def __init__(self, program: str, path: str = "") -> None:
        self.program = program
        self._path = path

    def row(
        self,
        figure: str,
        ours: float,
        unit: str,
        *,
        beside: str = "",
        raw: float | None = None,
        goal: str = "",
        **more: Any,
    ) -> None:
        """Say one figure: ours, what it stands beside in the same run, and the goal."""
        text = f"{figure:<58} {show(ours):>9} {unit}"
        if raw is not None:
            text += (
                f"   beside {beside}: {show(raw)} ({ours / raw:.2f} x)" if raw else f"   beside {beside}: 0"
            )
        if goal:
            text += f"   goal {goal}"
        for name, value in more.items():
            text += f"   {name}={show(value) if isinstance(value, float) else value}"
        print(text, flush=True)
        if self._path:
            entry = {
                "at": time.strftime("%Y-%m-%dT%H:%M:%S"),
                "program": self.program,
                "figure": figure,
                "ours": ours,
                "unit": unit,
                "beside": beside,
                "raw": raw,
                "goal": goal,
                **more,
            }
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")


def arguments(text: str | None) -> argparse.ArgumentParser:
    """Return a parser with what all programs take."""
    parser = argparse.ArgumentParser(description=(text or "").splitlines()[0])
    parser.add_argument("--json", default="", metavar="FILE", help="append every figure to this file")
    return parser


@contextmanager
def workdir(name: str) -> Iterator[Path]:
    """A folder of one's own, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix=f"elf-bench-{name}-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def machine() -> str:
    """Say what is measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    load = os.getloadavg()[0]
    system = f"kernel {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} x {model}, {system}, load {load:.1f}"
