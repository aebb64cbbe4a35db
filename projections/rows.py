"""Events to rows: what each table of the warehouse takes from each kind of event."""

from collections.abc import Callable, Iterable
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
from msgspec import Struct

from events.decisions import Decided
from events.envelope import Malformed, Recorded
from events.event import Event, snake
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

Row = tuple[object, ...]
Rows = dict[str, list[Row]]
"""Rows by table, in log order."""

COLUMNS: dict[str, tuple[str, ...]] = {
    table: tuple(names.split())
    for table, names in {
        "log": "position subject data id time forest type source entity cause correlation",
        "task_event": "position time what task queue unit generation pid attempt attempts claim kind error"
        " service_ms retry_in_s priority complexity timeout_s parent moved_to reason due"
        " deaths cleared solo",
        "unit_event": "position time what unit pool generation pid decision adopted code signal error died",
        "unit_sample": "position time full_frame unit generation status cpu memory threads processes"
        " in_flight beat_age_ms",
        "queue_sample": "position time full_frame queue pending in_flight pulls redelivered",
        "decision": "position time id elf rule target choice reason text trigger as_of epoch ordinal size"
        " policy version settings inputs_digest candidates probability mode cost cause severity again"
        " generation until wanted",
        "effect": "position time what decision target step ok detail error took_ms",
        "intent": "position time source target intent restart reason",
        "adopted": "position time source origin digest changed settings",
        "node_event": "position time what node previous release pure_zone pid boot python reason step_ms",
        "log_rotation": "position time unit segment start stop size",
        "standby": "position time what node reason free",
        "state_digest": "position time elf as_of digest",
        "resumption": "position time elf after error",
        "quarantined": "position time message subject reason sample",
        "history": "position time what first last below head sha256 size bound messages",
        "unread": "position time type source subject reason",
    }.items()
}
"""The tables and their columns as in schema.sql."""

YEAR_9999 = 253_402_300_799_999_999
LARGEST = 2**63 - 1

Writer = Callable[[Rows, Recorded, int, Any], str]
"""Appends an event's rows, given its checked time, and returns the entity that the event is about."""


class Forest(Struct, frozen=True):
    """Forest time (microseconds), the running maximum of the times that the lease holder wrote."""

    now: int = 0
    holder: str = ""


def micros(time: int) -> int:
    """Return a time that some writer gave if it can be one, else 0."""
    return time if 0 <= time <= YEAR_9999 else 0


def rows_of(batch: Iterable[Recorded], forest: Forest) -> tuple[Rows, Forest]:
    """Return the rows of a batch and the forest time behind it; `forest` is the one before it."""
    rows: Rows = {table: [] for table in COLUMNS}
    log = rows["log"].append
    now, holder = forest.now, forest.holder
    leader = f"node.{holder}"
    for event in batch:
        body = event.body
        time = micros(event.time)
        if isinstance(body, LeaseTaken):
            holder = body.holder
            leader = f"node.{holder}"
        if time > now and event.source == leader:
            now = time
        write = _WRITERS.get(type(body), _unread)
        entity = write(rows, event, time, body)
        tag = _TAGS.get(type(body)) or event.type
        row = (event.position, event.subject, event.data, event.id, time, now, tag, event.source, entity)
        log((*row, event.cause, event.correlation))
    return rows, Forest(now, holder)


def tame(rows: Rows) -> Rows:
    """Return the same rows with what no column can hold within bounds: huge numbers, lone surrogates."""
    return {table: [tuple(map(_tame, row)) for row in kept] for table, kept in rows.items()}


def _tame(value: object) -> object:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-LARGEST, min(LARGEST, value))
    if isinstance(value, list):
        return [_tame(item) for item in value]
    return value


def _plain(kind: type[Event], table: str, entity: str, what: str = "", **renamed: str) -> Writer:
    """Return the writer of a kind that gives one row: columns take fields by name or the renamed."""
    fields = {field: field for field in kind.__struct_fields__} | renamed
    columns = COLUMNS[table]
    known = ["position", "time", "what", "source", None]
    taken = [name for name in columns if name in fields and name not in known]
    pick = itemgetter(*(_place(name, known, taken) for name in columns))
    get = attrgetter(*(fields[name] for name in taken)) if len(taken) > 1 else _one(fields[taken[0]])
    about = attrgetter(entity) if entity in kind.__struct_fields__ else None

    def write(rows: Rows, event: Recorded, time: int, body: Event) -> str:
        rows[table].append(pick((event.position, time, what, event.source, None, *get(body))))
        return str(about(body)) if about else entity

    return write


def _place(name: str, known: list[str | None], taken: list[str]) -> int:
    if name in taken:
        return len(known) + taken.index(name)
    return known.index(name) if name in known else known.index(None)


def _one(field: str) -> Callable[[object], tuple[object]]:
    get = attrgetter(field)
    return lambda body: (get(body),)


def _exited(rows: Rows, event: Recorded, time: int, body: WorkerExited) -> str:
    died = micros(body.at) or time
    place = (event.position, time, "exited", body.unit, None, body.generation, body.pid, None, None)
    rows["unit_event"].append((*place, body.code, body.signal, body.error, died))
    return body.unit


def _sampled(rows: Rows, event: Recorded, time: int, body: Sampled) -> str:
    head = (event.position, time, body.full)
    rows["unit_sample"].extend((*head, *msgspec.structs.astuple(unit)) for unit in body.units)
    rows["queue_sample"].extend((*head, *msgspec.structs.astuple(queue)) for queue in body.queues)
    return "node"


def _decided(rows: Rows, event: Recorded, time: int, body: Decided) -> str:
    action = body.action
    own = {name: getattr(action, name) for name in action.__struct_fields__}
    if "until" in own:
        own["until"] = micros(own["until"])
    values = {name: getattr(body, name, None) for name in COLUMNS["decision"]} | own
    values |= {"position": event.position, "time": time, "id": event.id, "candidates": len(body.candidates)}
    values["choice"] = str(action.__struct_config__.tag)
    rows["decision"].append(tuple(map(values.get, COLUMNS["decision"])))
    return body.target


def _adopted(rows: Rows, event: Recorded, time: int, body: SettingsAdopted) -> str:
    settings = msgspec.json.encode(body.settings).decode()
    rows["adopted"].append(
        (event.position, time, event.source, body.origin, body.digest, list(body.changed), settings)
    )
    return "node"


def _unread(rows: Rows, event: Recorded, time: int, body: object) -> str:
    """Take what has no table: another release's events, and bytes that are none."""
    parts = event.subject.split(".")
    entity = parts[5] if len(parts) > 6 and parts[3] == "task" else parts[-1]
    if not isinstance(body, Event):
        reason = body.reason if isinstance(body, Malformed) else "unknown type"
        rows["unread"].append((event.position, time, event.type, event.source, event.subject, reason))
    return entity


_WRITERS: dict[type, Writer] = {
    TaskSubmitted: _plain(TaskSubmitted, "task_event", "task", "submitted"),
    TaskStarted: _plain(TaskStarted, "task_event", "task", "started"),
    TaskFinished: _plain(TaskFinished, "task_event", "task", "finished"),
    TaskFailed: _plain(TaskFailed, "task_event", "task", "failed"),
    TaskReleased: _plain(TaskReleased, "task_event", "task", "released"),
    TaskDied: _plain(TaskDied, "task_event", "task", "died"),
    TaskDropped: _plain(TaskDropped, "task_event", "task", "dropped"),
    TaskCancelled: _plain(TaskCancelled, "task_event", "task", "cancelled"),
    TaskMoved: _plain(TaskMoved, "task_event", "task", "moved", moved_to="to"),
    ResultSalvaged: _plain(ResultSalvaged, "task_event", "task", "salvaged"),
    WorkerStartOrdered: _plain(WorkerStartOrdered, "unit_event", "unit", "ordered"),
    WorkerStarted: _plain(WorkerStarted, "unit_event", "unit", "started"),
    WorkerReady: _plain(WorkerReady, "unit_event", "unit", "ready"),
    WorkerExited: _exited,
    OrphanReaped: _plain(OrphanReaped, "unit_event", "pid", "orphan"),
    Sampled: _sampled,
    Decided: _decided,
    EffectStarted: _plain(EffectStarted, "effect", "target", "started"),
    StepDone: _plain(StepDone, "effect", "target", "step"),
    EffectVerified: _plain(EffectVerified, "effect", "target", "verified"),
    EffectFailed: _plain(EffectFailed, "effect", "target", "failed"),
    IntentSet: _plain(IntentSet, "intent", "target"),
    SettingsAdopted: _adopted,
    LeaseTaken: _plain(LeaseTaken, "node_event", "holder", "lease", node="holder"),
    NodeStarted: _plain(NodeStarted, "node_event", "node", "started"),
    NodeStopping: _plain(NodeStopping, "node_event", "node", "stopping"),
    NodeStopped: _plain(NodeStopped, "node_event", "node", "stopped"),
    KeeperReplaced: _plain(KeeperReplaced, "node_event", "node", "keeper"),
    LogRotated: _plain(LogRotated, "log_rotation", "unit"),
    StoodBy: _plain(StoodBy, "standby", "node", "began"),
    Resumed: _plain(Resumed, "standby", "node", "ended"),
    ClockStepped: _plain(ClockStepped, "node_event", "node", "clock"),
    DeciderResumed: _plain(DeciderResumed, "resumption", "elf"),
    Checkpointed: _plain(Checkpointed, "state_digest", "elf"),
    Quarantined: _plain(Quarantined, "quarantined", "position", message="position"),
    HistorySealed: _plain(HistorySealed, "history", "log", "sealed"),
    HistoryPurged: _plain(HistoryPurged, "history", "log", "purged"),
}
_TAGS = {kind: snake(kind.__name__) for kind in _WRITERS}
