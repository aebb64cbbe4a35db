"""What became of the runner that holds a claim, and what its end means for the task."""

import re
from pathlib import Path

from msgspec import Struct

from actors.jetstream import JetStreamLog
from actors.runner_children import ending
from actors.runner_jobs import Outcome
from actors.runner_marks import executing, is_over
from actors.runner_spec import Spec
from events.observations import WorkerExited
from events.tasks import Evidence, TaskDied, TaskFailed, TaskReleased, TaskStarted

_LINES = 50
_LINE = 400
_TAIL = 64 * 1024


class Fate(Struct, frozen=True):
    """`over`: the runner is gone, `executing`: it was at work on the task; None when nobody knows."""

    over: bool | None
    executing: bool | None = None
    exited: WorkerExited | None = None


class Fates:
    """Learns the fate of claims from the log, and from the marks of this machine's runners."""

    def __init__(self, spec: Spec, log: JetStreamLog) -> None:
        self._spec = spec
        self._log = log
        self._folder = Path(spec.spool).parent if spec.spool else None
        self._redact = [re.compile(pattern) for pattern in spec.redact]

    async def of(self, claim: TaskStarted) -> Fate:
        """Say what is known. Raises LogUnreachable."""
        last = await self._log.last(f"log.*.*.worker_exited.{claim.unit}")
        exited = last.body if last and isinstance(last.body, WorkerExited) else None
        if exited and exited.generation < claim.generation:
            exited = None
        own = claim.unit == self._spec.unit and claim.generation <= self._spec.generation
        over = True if exited is not None or own else None
        if self._folder is None:
            return Fate(over, None, exited)
        over = over or is_over(self._folder, claim.unit, claim.generation)
        names = executing(self._folder, claim.unit, claim.generation) if over else None
        if exited and exited.generation != claim.generation:
            exited = None
        return Fate(over, None if names is None else claim.task in names, exited)

    def settled(self, claim: TaskStarted, position: int, fate: Fate) -> TaskReleased | TaskFailed | TaskDied:
        """Return what is to be said of a claim whose runner is gone."""
        if fate.executing is False:
            return TaskReleased(
                task=claim.task,
                queue=claim.queue,
                unit=claim.unit,
                generation=claim.generation,
                attempt=claim.attempt,
                claim=position,
                deaths=claim.deaths,
            )
        deaths = claim.deaths + bool(fate.executing)
        error = _words(claim, fate)
        # A task whose worker died goes on trial before it is given up; without a proof its attempt is over.
        on_trial = fate.executing and not claim.solo and deaths >= self._spec.deaths
        last = claim.attempt >= self._spec.max_attempts and not on_trial
        if last or (claim.solo and fate.executing):
            return TaskDied(
                task=claim.task,
                queue=claim.queue,
                unit=claim.unit,
                attempts=claim.attempt,
                kind="crash",
                error=error,
                deaths=deaths,
                evidence=self._evidence(claim, fate),
            )
        return TaskFailed(
            task=claim.task,
            queue=claim.queue,
            unit=claim.unit,
            generation=claim.generation,
            attempt=claim.attempt,
            claim=position,
            kind="crash",
            error=error,
            deaths=deaths,
        )

    def evidence(self, outcome: Outcome, unit: str, generation: int) -> Evidence | None:
        """Return what is known of a handler's process that died with a task."""
        if outcome.kind != "crash" or outcome.pid == 0:
            return None
        return Evidence(
            unit=unit,
            generation=generation,
            pid=outcome.pid,
            code=outcome.code if outcome.code >= 0 else None,
            signal=-outcome.code if outcome.code < 0 else None,
            memory=outcome.memory,
            lines=self.lines(unit),
        )

    def _evidence(self, claim: TaskStarted, fate: Fate) -> Evidence:
        exited = fate.exited
        return Evidence(
            unit=claim.unit,
            generation=claim.generation,
            pid=claim.pid,
            code=exited.code if exited else None,
            signal=exited.signal if exited else None,
            lines=self.lines(claim.unit),
        )

    def lines(self, unit: str) -> tuple[str, ...]:
        """Return the last lines of a unit's log, what must not be logged blacked out."""
        if not self._spec.logs:
            return ()
        try:
            with (Path(self._spec.logs) / f"{unit}.log").open("rb") as log:
                size = log.seek(0, 2)
                log.seek(max(0, size - _TAIL))
                text = log.read().decode("utf-8", "replace").replace("\0", "")
        except OSError:
            return ()
        return tuple(self._clean(line) for line in text.splitlines()[-_LINES:])

    def _clean(self, line: str) -> str:
        for pattern in self._redact:
            line = pattern.sub("█", line)
        return line[:_LINE]


def _words(claim: TaskStarted, fate: Fate) -> str:
    exited = fate.exited
    how = ""
    if exited and exited.signal is not None:
        how = f" by {ending(-exited.signal)}"
    elif exited and exited.code is not None:
        how = f" with {ending(exited.code)}"
    at_work = {True: "while it executed the task", None: "and nobody knows whether it executed the task"}
    return (
        f"the runner {claim.unit} (generation {claim.generation}) ended{how} in attempt {claim.attempt}"
        f" {at_work.get(fate.executing, '')}"
    )
