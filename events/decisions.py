"""What was decided, with all it rests on, so that it can be decided again and compared."""

from typing import Any, ClassVar, Literal

from msgspec import Struct

from events.agents import AgentState
from events.event import Event, snake

Mode = Literal["observe", "advise", "act"]
Severity = Literal["info", "warning", "critical"]


class Action(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="do", tag=snake):
    """What a decision asks of the world. One with an `effect` is open until an outcome settles it."""

    effect: ClassVar[bool] = False


class RaiseAlert(Action, frozen=True, kw_only=True):
    """Open the alert of this cause and target, or say it again while it stays open."""

    cause: str
    severity: Severity
    again: bool = False


class ClearAlert(Action, frozen=True, kw_only=True):
    """Close the open alert of this cause and target."""

    cause: str


class StartUnit(Action, frozen=True, kw_only=True):
    """Start this generation of a unit that has no living process."""

    effect: ClassVar[bool] = True
    generation: int


class StopUnit(Action, frozen=True, kw_only=True):
    """End the unit by its declared stop sequence and leave it ended; with `drain` it ends what it holds first."""

    effect: ClassVar[bool] = True
    generation: int
    drain: bool = False


class RestartUnit(Action, frozen=True, kw_only=True):
    """End this generation, at a task edge if `drain`, and start the next one; by these steps if not by the usual."""

    effect: ClassVar[bool] = True
    generation: int
    drain: bool = False
    evidence: bool = False
    steps: tuple[str, ...] = ()


class ContinueUnit(Action, frozen=True, kw_only=True):
    """Send SIGCONT to a unit that somebody stopped."""

    effect: ClassVar[bool] = True
    generation: int


class TakeEvidence(Action, frozen=True, kw_only=True):
    """Look at what the unit does, `pid` above all, and keep it in a file; within two seconds or not at all."""

    effect: ClassVar[bool] = True
    generation: int
    kind: str
    pid: int = 0


class RepairFile(Action, frozen=True, kw_only=True):
    """Give a worker's own configuration file what worked last, as long as its bytes still have this digest."""

    effect: ClassVar[bool] = True
    path: str
    digest: str


class TellUnit(Action, frozen=True, kw_only=True):
    """Tell a living unit to take no more tasks, to ask its queue anew, or not to wait for a task edge any longer."""

    generation: int
    verb: Literal["quiet", "renew", "hurry"]


class QuarantineUnit(Action, frozen=True, kw_only=True):
    """Do not start the unit before `until` (forest time, microseconds)."""

    until: int


class Defer(Action, frozen=True, kw_only=True):
    """Nothing now: too little mana. The rule looks again at `until` (forest time, microseconds)."""

    wanted: str
    until: int


class AssignTask(Action, frozen=True, kw_only=True):
    """The agent has the task; this decision itself is the delivery.

    `lease` counts the task's assignments, `attempt` its starts. `submitted` is the position of the task's submission,
    `after` that of its last event whoever wrote it: the agent claims by compare-and-set on it. `previous` is the
    agent that loses the task.
    """

    task: str
    queue: str
    agent: str
    lease: int
    attempt: int
    submitted: int
    after: int
    previous: str = ""


class GiveUpTask(Action, frozen=True, kw_only=True):
    """No attempt is left: the task goes to the dead letters, by compare-and-set on `after`."""

    task: str
    queue: str
    attempts: int
    after: int
    kind: str
    error: str


class MarkAgent(Action, frozen=True, kw_only=True):
    """The agent is in this state from here on; `wip` limits it there, `until` is when a cool-down ends."""

    state: AgentState
    wip: int = 0
    until: int = 0


class PingAgent(Action, frozen=True, kw_only=True):
    """Ask the agent's program for an answer; verified when it comes in time."""

    effect: ClassVar[bool] = True
    number: int


class RestartAgent(Action, frozen=True, kw_only=True):
    """Run the agent's restart command or, without one, ask its owner; verified when the program joins again."""

    effect: ClassVar[bool] = True


class VerifyAgent(Action, frozen=True, kw_only=True):
    """Have the agent do its canary and check the artefact; without a canary an answer to a ping must do."""

    effect: ClassVar[bool] = True


class ProposeMove(Action, frozen=True, kw_only=True):
    """These tasks, not started yet, would be better off with another agent."""

    tasks: tuple[str, ...]
    source: str
    goal: str


class ScalePool(Action, frozen=True, kw_only=True):
    """From here on exactly these units of the pool are wanted."""

    pool: str
    units: tuple[str, ...]


class MoveTasks(Action, frozen=True, kw_only=True):
    """Take these tasks, waiting and not started, to a compatible queue."""

    effect: ClassVar[bool] = True
    tasks: tuple[str, ...]
    source: str
    goal: str


class ProposeBatch(Action, frozen=True, kw_only=True):
    """Hand over so many tasks at once instead of as many as now, within the declared range."""

    pool: str
    now: int
    batch: int


class Remind(Action, frozen=True, kw_only=True):
    """Tell a worker, all of its processes or `unit` alone: a line in its log, its notice file, its handler.

    `due` (microseconds since 1970) is when it was to be told, `late_s` how much later it is; `request` "gc" asks it
    to collect garbage and to answer with its memory before and after.
    """

    effect: ClassVar[bool] = True
    reminder: str
    worker: str
    words: str
    due: int
    late_s: int = 0
    unit: str = ""
    request: Literal["", "gc"] = ""


class Prepare(Action, frozen=True, kw_only=True):
    """Tell the workers of a queue that so many tasks of a kind are expected at a time; they may ignore it."""

    queue: str
    kind: str
    expected: int
    at: int
    confidence: float


class ProposeMaintenance(Action, frozen=True, kw_only=True):
    """From `start` to `end` (microseconds since 1970) the least work is expected; what could be restarted then."""

    start: int
    end: int
    restarts: tuple[str, ...] = ()


class ProposeRestart(Action, frozen=True, kw_only=True):
    """The unit works worse than after its start, and earlier restarts undid that; `at` is the best moment."""

    generation: int
    at: int


class RunJob(Action, frozen=True, kw_only=True):
    """Run the job's command once; it was due at `due` (microseconds since 1970)."""

    effect: ClassVar[bool] = True
    job: str
    due: int
    late_s: int = 0


class Escalate(Action, frozen=True, kw_only=True):
    """What failed again and again goes to the people of the channel `escalation`."""

    cause: str
    times: int


class Notify(Action, frozen=True, kw_only=True):
    """Tell the people of one channel by name, or those that a topic concerns, what the decision's text says."""

    channel: str = ""
    topic: str = ""


class ScoreAlert(Action, frozen=True, kw_only=True):
    """What became of a forecast: it was right, wrong, averted by an intervention, or an overload had none (missed)."""

    alert: str
    verdict: Literal["right", "wrong", "averted", "missed"]


class Abstain(Action, frozen=True, kw_only=True):
    """Nothing is said about this for now; the decision's reason and text tell why. With `ends` it may be said again."""

    about: str
    ends: bool = False


class AdoptDistribution(Action, frozen=True, kw_only=True):
    """Settings of the distribution: try a candidate on a share of the tasks, keep it, or take it back.

    `until` is when the trial ends at the latest (forest time, microseconds). With `withdraw` the file counts again,
    whatever else is named.
    """

    effect: ClassVar[bool] = True
    step: Literal["canary", "keep", "rollback", "withdraw"]
    policy: str = ""
    parameters: dict[str, float] = {}
    share: float = 0.0
    until: int = 0
    least: int = 0


class Propose(Action, frozen=True, kw_only=True):
    """A change that people may approve, with all it rests on.

    `sql` shows the facts behind the `claim`. `low` to `high` is the 95 % interval of what the `gain` says, from `n`
    cases. `expires` is forest time in microseconds. `change` names what would be set: `what` it is about, the `key`,
    its value `now` and the value `to`.
    """

    claim: str
    sql: str
    gain: str
    low: float
    high: float
    n: int
    risk: str
    rollback: str
    expires: int
    change: dict[str, Any] = {}


AnyAction = (
    RaiseAlert
    | ClearAlert
    | StartUnit
    | StopUnit
    | RestartUnit
    | ContinueUnit
    | TakeEvidence
    | RepairFile
    | TellUnit
    | QuarantineUnit
    | Defer
    | AssignTask
    | GiveUpTask
    | MarkAgent
    | PingAgent
    | RestartAgent
    | VerifyAgent
    | ProposeMove
    | ScalePool
    | MoveTasks
    | ProposeBatch
    | ScoreAlert
    | Abstain
    | AdoptDistribution
    | Propose
    | Remind
    | Prepare
    | ProposeMaintenance
    | ProposeRestart
    | RunJob
    | Escalate
    | Notify
)


class Candidate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One choice that was looked at; `why_not` is empty for the chosen one."""

    name: str
    why_not: str = ""
    terms: dict[str, float] = {}


class Decided(Event, frozen=True, kw_only=True):
    """One decision of one elf.

    `as_of` is the position its state was folded to, `trigger` the position that made it look, `ordinal` of `size` its
    place in the elf's batch. `inputs` are the facts it read and `inputs_digest` covers them. `cost` is in points of
    mana. Replay compares everything but the envelope.
    """

    elf: str
    rule: str
    target: str
    action: AnyAction
    reason: str
    text: str
    trigger: int
    as_of: int
    epoch: int
    ordinal: int
    size: int
    policy: str
    version: str
    settings: str
    inputs: dict[str, Any] = {}
    inputs_digest: str = ""
    candidates: tuple[Candidate, ...] = ()
    probability: float = 1.0
    mode: Mode = "act"
    cost: int = 0
