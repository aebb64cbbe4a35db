"""What if another policy had decided: first whether the simulator tells the truth about this log, then what it says."""

import math
import time
from collections.abc import Iterable, Sequence

from msgspec import Struct

from actors.recorded_work import Recording
from actors.simulator.engine import Engine, Tally
from actors.simulator.lean import LeanBalancer
from actors.simulator.report import Result, quantile, responses_of, result_of
from actors.simulator.scenario import Choice, Scenario

LEAST = 200
"""So many ended tasks must be there before anything is said."""

TOLERANCE = 0.10
"""Simulating the policy that was in force must give the recorded mean and p95 within this share."""


class CannotSay(Exception):
    """The log does not allow an answer; one line that says why."""

    code = 5


class Calibration(Struct, frozen=True, kw_only=True):
    """Recorded figures and what the simulator makes of the same work under the same policy; seconds."""

    tasks: int
    recorded_mean: float
    recorded_p95: float
    simulated_mean: float
    simulated_p95: float

    @property
    def problem(self) -> str:
        """Why the simulator may not speak about this log; "" when it may."""
        for what in ("mean", "p95"):
            there, here = getattr(self, f"recorded_{what}"), getattr(self, f"simulated_{what}")
            if abs(here - there) > TOLERANCE * there:
                return (
                    f"expected the simulator to give the recorded {what} of {there:.3g} s within"
                    f" {TOLERANCE:.0%}, got {here:.3g} s; try a longer log, or one without pauses and settings changes"
                )
        return ""


def enough(recording: Recording | None) -> Recording:
    """Return a recording that is long enough. Raises CannotSay."""
    ended = sum(recording.counted) if recording else 0
    if recording is None or ended < LEAST:
        raise CannotSay(f"expected at least {LEAST} tasks that agents ended, got {ended}; try later")
    return recording


def play(scenario: Scenario, choice: Choice, later: Sequence[tuple[float, Choice]] = ()) -> Tally:
    """Simulate without a log."""
    return Engine(scenario, LeanBalancer(scenario, choice, later)).run()


def calibrate(recording: Recording) -> Calibration:
    """Simulate what was in force and compare with what was recorded."""
    (_, first), *later = recording.choices
    counted = recording.counted
    again = _ordered(responses_of(recording.scenario, play(recording.scenario, first, later), counted))
    there = _ordered(
        end - job.arrival for job, end in zip(recording.scenario.jobs, recording.ended, strict=True)
    )
    return Calibration(
        tasks=len(there),
        recorded_mean=_mean(there),
        recorded_p95=quantile(there, 0.95),
        simulated_mean=_mean(again),
        simulated_p95=quantile(again, 0.95),
    )


def closed_loop(recording: Recording, choice: Choice) -> Result:
    """Simulate the recorded work under another policy from the beginning."""
    began = time.perf_counter()
    tally = play(recording.scenario, choice)
    return result_of(recording.scenario, choice, tally, time.perf_counter() - began, recording.counted)


def _ordered(times: Iterable[float]) -> list[float]:
    return sorted(value for value in times if not math.isnan(value))


def _mean(times: Sequence[float]) -> float:
    return sum(times) / len(times) if times else 0.0
