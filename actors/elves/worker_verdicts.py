"""What two looks at a process that does not get on with its task prove, if anything."""

from typing import Literal

from events.observations import ProcessLook, Sign
from events.settings import Limits
from projections.ailments import Look

Verdict = Literal["stalled", "stopped", "deadlock", "livelock", "gil_held", "blocked_io"]

# In tenths of a percent of one core.
_IDLE = 10
_BUSY = 900
# A beat comes every second; without one for so long the interpreter is not to be had.
_BEAT_MS = 10_000
_SAMPLES = 5


def verdict(looks: list[Look], sign: Sign, limits: Limits, known: bool) -> Verdict:
    """Name it. `known` tells whether the usual time of such tasks is known; a first long one is no loop yet."""
    if len(looks) < 2 or looks[1].at - looks[0].at < limits.evidence_gap_s * 1_000_000:
        return "stalled"
    first, second = looks[0].seen, looks[1].seen
    if first.pid != second.pid or second.pid != sign.pid:
        return "stalled"
    if first.status in ("T", "t") and second.status in ("T", "t"):
        return "stopped"
    if sign.beat_ms >= min(_BEAT_MS, limits.stall_s * 1000) or (first.gil and second.gil):
        return "gil_held"
    idle = first.cpu < _IDLE and second.cpu < _IDLE
    alike = first.stacks == second.stacks
    if idle and alike and first.wait == second.wait == "lock":
        return "deadlock"
    enough = first.looks + second.looks >= _SAMPLES
    if known and enough and _loops(first) and _loops(second) and _function(first) == _function(second):
        return "livelock"
    if idle and first.wait == second.wait == "io" and first.frame == second.frame:
        return "blocked_io"
    return "stalled"


def _loops(look: ProcessLook) -> bool:
    """Tell whether it computed all the time, or would have if it had been given a core, in one function."""
    return max(look.cpu, look.demand) >= _BUSY and look.looks > 0 and look.same == look.looks


def _function(look: ProcessLook) -> str:
    return look.frame.rpartition(":")[0]
