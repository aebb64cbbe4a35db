"""What was seen: the node's own life, samples, exits, intents of people."""

from typing import Literal

from msgspec import Struct

from events.agents import AgentSample
from events.event import Event

Intent = Literal["run", "stop", "quiet", "pause"]


class LeaseTaken(Event, frozen=True, kw_only=True):
    """A node took the leadership; this event's position is the epoch of all it decides."""

    holder: str
    previous: int = 0


class NodeStarted(Event, frozen=True, kw_only=True):
    """A node came up: its release and the digest of the code that folds and decides."""

    node: str
    release: str
    pure_zone: str
    pid: int
    boot: str
    python: str


class NodeStopping(Event, frozen=True, kw_only=True):
    """The node begins to end in order: it stops its units itself and decides nothing more."""

    node: str
    reason: str


class NodeStopped(Event, frozen=True, kw_only=True):
    """A node ended in order; nobody decides from here to the next lease."""

    node: str
    reason: str


class DeciderResumed(Event, frozen=True, kw_only=True):
    """An elf came back after a failure; it decided nothing on events behind `after` up to this one."""

    elf: str
    after: int
    error: str


class UnitSample(Struct, frozen=True, array_like=True):
    """One process tree as seen at a tick. `cpu` in tenths of a percent of one core, `memory` in bytes.

    `status` is the kernel's letter of the main process (`?` when it could not be read). `beat_age_ms` is the age of
    its last beat, 0 while that is young, and -1 for a plain program that gives none.
    """

    unit: str
    generation: int
    status: str
    cpu: int
    memory: int
    threads: int
    processes: int
    in_flight: int
    beat_age_ms: int


class Held(Struct, frozen=True, array_like=True):
    """How many file descriptors the processes of a unit have open."""

    unit: str
    generation: int
    fds: int


class QueueSample(Struct, frozen=True, array_like=True):
    """One queue as its consumer reports it: not yet delivered, delivered and unfinished, waiting pulls, redelivered."""

    queue: str
    pending: int
    in_flight: int
    pulls: int
    redelivered: int


class Sign(Struct, frozen=True, array_like=True):
    """What is unusual about a unit at a tick.

    `stall_ms` is how long the longest task being executed has lasted and `pid` who executes it; `beat_ms` is the age
    of that process's own beat, given by a thread of its own, and -1 where it has none. `zombies` counts ended
    children that nobody waited for.
    """

    unit: str
    generation: int
    stall_ms: int = 0
    pid: int = 0
    beat_ms: int = -1
    zombies: int = 0


class ProcessLook(Struct, frozen=True, array_like=True):
    """What was seen of one process while evidence was taken.

    `cpu` in tenths of a percent of one core over that time, `demand` the same with the time it waited for a core.
    `wait` says what its threads wait for: `lock` only if
    every one of them waits for a lock without a limit, else what its main thread does: `io`, `sleep`, `lock_timed`,
    `run` or `other`. `stacks` is a digest of all its Python stacks and `frame` the innermost function of its main
    thread; `same` of `looks` looks found that function there. `gil` tells whether a thread held the interpreter
    while it did not run Python.
    """

    pid: int
    status: str
    cpu: int
    threads: int
    wait: str
    stacks: str = ""
    frame: str = ""
    same: int = 0
    looks: int = 0
    gil: bool = False
    demand: int = 0


class HostSample(Struct, frozen=True, array_like=True):
    """The machine: `cpu` in tenths of a percent of all cores, `memory` available and `total` in bytes, cores."""

    cpu: int
    memory: int
    total: int
    cores: int


class Sampled(Event, frozen=True, kw_only=True):
    """The tick. Units and queues whose values moved beyond the dead band since they were last written.

    A `full` frame carries all of them; what is absent from another frame is unchanged, never zero. `signs` are
    complete in every frame: a unit that is absent there shows none. `held` is told of the same units as `units`.
    """

    full: bool
    units: tuple[UnitSample, ...] = ()
    queues: tuple[QueueSample, ...] = ()
    agents: tuple[AgentSample, ...] = ()
    host: HostSample | None = None
    signs: tuple[Sign, ...] = ()
    held: tuple[Held, ...] = ()


class WorkerExited(Event, frozen=True, kw_only=True):
    """A process of a unit ended. Neither `code` nor `signal` means that nobody could learn how."""

    unit: str
    generation: int
    pid: int
    code: int | None = None
    signal: int | None = None
    error: str = ""
    at: int = 0


class EvidenceTaken(Event, frozen=True, kw_only=True):
    """What a unit did was looked at and kept in `file` of the data folder, whose bytes have this `digest`.

    `kind` is the suspicion that asked for it, `source` what gave the stacks: py-spy, faulthandler or the kernel.
    `pid` is the process in question, `memory` in bytes.
    """

    unit: str
    generation: int
    kind: str
    file: str = ""
    digest: str = ""
    source: str = ""
    pid: int = 0
    memory: int = 0
    looks: tuple[ProcessLook, ...] = ()
    error: str = ""
    took_ms: int = 0


class ManagedFileSeen(Event, frozen=True, kw_only=True):
    """A worker's own configuration file changed; `ok` says whether its check accepts it.

    `good` is the digest of the last copy that was accepted, empty without one; `changed_at` is the file's own time in
    microseconds since 1970. Its content stands nowhere in the log.
    """

    worker: str
    path: str
    digest: str
    ok: bool
    good: str = ""
    changed_at: int = 0
    error: str = ""


class ManagedFileRepaired(Event, frozen=True, kw_only=True):
    """A file got back what worked last; `kept` names the broken one's copy, `restored` the wrong keys."""

    worker: str
    path: str
    before: str
    after: str
    kept: str
    restored: tuple[str, ...] = ()


class WorkerReady(Event, frozen=True, kw_only=True):
    """A unit says that it can work now."""

    unit: str
    generation: int
    pid: int


class WorkerSpoke(Event, frozen=True, kw_only=True):
    """What a plain program says of itself now, at most every ten seconds; empty words take back earlier ones.

    `words` are its own, without control characters, cut and redacted; `progress` is what it got on with last.
    `unheard` lines of this generation were not understood, or too many at once.
    """

    unit: str
    generation: int
    words: str = ""
    progress: str = ""
    unheard: int = 0


class OrphanReaped(Event, frozen=True, kw_only=True):
    """A process that had lost its parent ended under the keeper."""

    pid: int
    code: int | None = None
    signal: int | None = None


class KeeperReplaced(Event, frozen=True, kw_only=True):
    """The parent of all units was gone and another took its place; living units go on, `pid` is the new one's."""

    node: str
    pid: int


class IntentSet(Event, frozen=True, kw_only=True):
    """A person said what a worker shall do; policies never undo it.

    `target` is a unit or a pool. With `restart` a unit that runs owes one more generation.
    """

    target: str
    intent: Intent
    restart: bool = False
    reason: str = ""


class ScaleSet(Event, frozen=True, kw_only=True):
    """A person said how many processes a pool shall have; with -1 the forest decides that again."""

    pool: str
    count: int
    reason: str = ""


class LogRotated(Event, frozen=True, kw_only=True):
    """A part of a worker's log was sealed into the file `segment`: the bytes from `start` to `stop`, `size` on disk."""

    unit: str
    segment: str
    start: int
    stop: int
    size: int


class StoodBy(Event, frozen=True, kw_only=True):
    """The node decides nothing while there is no room for its log; workers go on. `free` bytes were left."""

    node: str
    reason: str
    free: int


class Resumed(Event, frozen=True, kw_only=True):
    """There is room again: the node decides."""

    node: str
    free: int


class ClockStepped(Event, frozen=True, kw_only=True):
    """The wall clock jumped against the monotonic one by this many milliseconds."""

    step_ms: int


class Quarantined(Event, frozen=True, kw_only=True):
    """A stored message could not be read as an event; folds pass it over."""

    position: int
    subject: str
    reason: str
    sample: str


class HistorySealed(Event, frozen=True, kw_only=True):
    """Positions `first` to `last` stand in a file of their own, read back and proven; `size` in bytes on disk."""

    first: int
    last: int
    head: str
    sha256: str
    size: int


class HistoryPurged(Event, frozen=True, kw_only=True):
    """What lies below position `below` has left the stream, leases excepted; `bound` names what held the rest."""

    below: int
    bound: str
    messages: int = 0


Observation = (
    LeaseTaken
    | NodeStarted
    | NodeStopping
    | NodeStopped
    | DeciderResumed
    | Sampled
    | WorkerExited
    | WorkerReady
    | WorkerSpoke
    | EvidenceTaken
    | ManagedFileSeen
    | ManagedFileRepaired
    | OrphanReaped
    | KeeperReplaced
    | IntentSet
    | ScaleSet
    | LogRotated
    | StoodBy
    | Resumed
    | ClockStepped
    | Quarantined
    | HistorySealed
    | HistoryPurged
)
