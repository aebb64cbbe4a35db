"""What came of decisions: effects, their steps and their post-checks, and the generations of processes."""

from events.event import Event


class EffectStarted(Event, frozen=True, kw_only=True):
    """An executor began to carry out a decision."""

    decision: str
    target: str


class StepDone(Event, frozen=True, kw_only=True):
    """One step of a playbook with its own post-check; `ok` says whether that check passed."""

    decision: str
    target: str
    step: str
    ok: bool
    detail: str = ""
    took_ms: int = 0


class EffectVerified(Event, frozen=True, kw_only=True):
    """The post-check of the whole effect passed."""

    decision: str
    target: str
    detail: str = ""


class EffectFailed(Event, frozen=True, kw_only=True):
    """The effect did not reach its post-check."""

    decision: str
    target: str
    error: str
    step: str = ""


class WorkerStartOrdered(Event, frozen=True, kw_only=True):
    """A process is about to be started; written before the fork, so that a crash in between is recognised."""

    unit: str
    pool: str
    generation: int
    nonce: str
    decision: str = ""


class WorkerStarted(Event, frozen=True, kw_only=True):
    """A process of this generation lives. `start` is its start time in clock ticks since boot."""

    unit: str
    pool: str
    generation: int
    pid: int
    start: int
    nonce: str
    adopted: bool = False


class Checkpointed(Event, frozen=True, kw_only=True):
    """The digest of an elf's whole state at a position; replay compares it with its own."""

    elf: str
    as_of: int
    digest: str


Outcome = (
    EffectStarted
    | StepDone
    | EffectVerified
    | EffectFailed
    | WorkerStartOrdered
    | WorkerStarted
    | Checkpointed
)
