"""Events to rows: what each table of the warehouse takes from each kind of event."""

from collections.abc import Iterable

from events.agents import (
    AgentAdded,
    AgentIntentSet,
    AgentJoined,
    AgentLeft,
    AgentRevoked,
    HandedOver,
    PhaseEntered,
)
from events.analyses import DailyAnalysed
from events.decisions import Decided
from events.envelope import Recorded
from events.event import snake
from events.jobs import JobFinished
from events.observations import (
    ClockStepped,
    DeciderResumed,
    HistoryPurged,
    HistorySealed,
    IntentSet,
    KeeperReplaced,
    LeaseTaken,
    LogRotated,
    NodeStarted,
    NodeStopped,
    NodeStopping,
    OrphanReaped,
    Quarantined,
    Resumed,
    Sampled,
    StoodBy,
    WorkerExited,
    WorkerReady,
)
from events.outcomes import (
    Checkpointed,
    EffectFailed,
    EffectStarted,
    EffectVerified,
    StepDone,
    WorkerStarted,
    WorkerStartOrdered,
)
from events.settings import SettingsAdopted
from events.tasks import (
    ResultSalvaged,
    TaskCancelled,
    TaskDied,
    TaskDropped,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)
from projections import row_writers as writers
from projections.columns import COLUMNS, Row, Rows
from projections.facts import Facts
from projections.row_writers import Writer, micros, plain

LARGEST = 2**63 - 1


def rows_of(batch: Iterable[Recorded], facts: Facts, *, logged: bool = True) -> Rows:
    """Return the rows of a batch, those of the log too if `logged`; `facts` are those before and then behind it."""
    rows: Rows = {table: [] for table in COLUMNS}
    log = rows["log"].append
    lead = facts.lead
    now, leader = lead.now, f"node.{lead.holder}"
    find, unread, tags = _WRITERS.get, writers.unread, _TAGS.get
    for event in batch:
        body = event.body
        kind = type(body)
        time = event.time
        if not 0 <= time <= writers.YEAR_9999:
            time = 0
        if kind is LeaseTaken and isinstance(body, LeaseTaken):
            lead.holder, lead.epoch = body.holder, event.position
            leader = f"node.{body.holder}"
        if time > now and event.source == leader:
            lead.now = now = time
        entity = find(kind, unread)(rows, event, time, body, facts)
        if not logged:
            continue
        row = (event.position, event.subject, event.data, event.id, time, now, tags(kind) or event.type)
        log((*row, event.source, entity, event.cause, event.correlation))
    return rows


def tame(rows: Rows) -> Rows:
    """Return the same rows with what no column can hold within bounds: huge numbers, lone surrogates."""
    return {table: tamed(kept) for table, kept in rows.items()}


def tamed(rows: Iterable[Row]) -> list[Row]:
    """Return rows of one table within bounds."""
    return [tuple(map(_tame, row)) for row in rows]


def _tame(value: object) -> object:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-LARGEST - 1, min(LARGEST, value))
    if isinstance(value, list):
        return [_tame(item) for item in value]
    return value


_WRITERS: dict[type, Writer] = {
    TaskSubmitted: writers.submitted,
    TaskStarted: writers.started,
    TaskFinished: writers.finished,
    TaskFailed: writers.failed,
    TaskReleased: writers.released,
    TaskDied: writers.died,
    TaskDropped: plain(TaskDropped, "task_end", "task", "dropped"),
    TaskCancelled: writers.cancelled,
    TaskMoved: writers.moved,
    ResultSalvaged: plain(ResultSalvaged, "task_end", "task", "salvaged"),
    WorkerStartOrdered: plain(WorkerStartOrdered, "unit_event", "unit", "ordered"),
    WorkerStarted: plain(WorkerStarted, "unit_event", "unit", "started"),
    WorkerReady: plain(WorkerReady, "unit_event", "unit", "ready"),
    WorkerExited: writers.exited,
    OrphanReaped: plain(OrphanReaped, "unit_event", "pid", "orphan"),
    Sampled: writers.sampled,
    AgentAdded: writers.agent_word(AgentAdded, "added"),
    AgentRevoked: writers.agent_word(AgentRevoked, "revoked"),
    AgentJoined: writers.agent_word(AgentJoined, "joined"),
    AgentLeft: writers.agent_word(AgentLeft, "left"),
    AgentIntentSet: writers.agent_word(AgentIntentSet, "intent"),
    PhaseEntered: writers.agent_word(PhaseEntered, "phase"),
    HandedOver: writers.handed_over,
    Decided: writers.decided,
    EffectStarted: plain(EffectStarted, "effect", "target", "started"),
    StepDone: plain(StepDone, "effect", "target", "step"),
    EffectVerified: writers.settled(EffectVerified, "verified"),
    EffectFailed: writers.settled(EffectFailed, "failed"),
    IntentSet: plain(IntentSet, "intent", "target"),
    JobFinished: plain(JobFinished, "job_run", "job"),
    DailyAnalysed: writers.analysed,
    SettingsAdopted: writers.adopted,
    LeaseTaken: plain(LeaseTaken, "node_event", "holder", "lease", node="holder"),
    NodeStarted: plain(NodeStarted, "node_event", "node", "started"),
    NodeStopping: plain(NodeStopping, "node_event", "node", "stopping"),
    NodeStopped: plain(NodeStopped, "node_event", "node", "stopped"),
    KeeperReplaced: plain(KeeperReplaced, "node_event", "node", "keeper"),
    LogRotated: plain(LogRotated, "log_rotation", "unit"),
    StoodBy: plain(StoodBy, "standby", "node", "began"),
    Resumed: plain(Resumed, "standby", "node", "ended"),
    ClockStepped: plain(ClockStepped, "node_event", "node", "clock"),
    DeciderResumed: plain(DeciderResumed, "resumption", "elf"),
    Checkpointed: plain(Checkpointed, "state_digest", "elf"),
    Quarantined: plain(Quarantined, "quarantined", "position", message="position"),
    HistorySealed: plain(HistorySealed, "history", "log", "sealed"),
    HistoryPurged: plain(HistoryPurged, "history", "log", "purged"),
}
_TAGS = {kind: snake(kind.__name__) for kind in _WRITERS}

__all__ = ["COLUMNS", "Row", "Rows", "micros", "rows_of", "tame", "tamed"]
