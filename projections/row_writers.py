"""What each table takes from each kind of event; what needs a closer look than a copy of its fields."""

from collections.abc import Callable
from operator import attrgetter, itemgetter
from typing import Any

import msgspec

from events.agents import HandedOver
from events.analyses import DailyAnalysed
from events.decisions import AssignTask, Decided, ScoreAlert
from events.envelope import Malformed, Recorded
from events.event import Event
from events.observations import Sampled, WorkerExited
from events.outcomes import EffectFailed, EffectVerified
from events.settings import SettingsAdopted
from events.tasks import (
    TaskCancelled,
    TaskDied,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)
from events.traces import trace_id
from projections.columns import COLUMNS, Rows
from projections.facts import Facts
from projections.task_book import Verdict

YEAR_9999 = 253_402_300_799_999_999

Writer = Callable[[Rows, Recorded, int, Any, Facts], str]
"""Appends an event's rows, given its checked time, and returns the entity that the event is about."""


def micros(time: int) -> int:
    """Return a time that some writer gave if it can be one, else 0."""
    return time if 0 <= time <= YEAR_9999 else 0


def plain(kind: type[Event], table: str, entity: str, what: str = "", **renamed: str) -> Writer:
    """Return the writer of a kind that gives one row: columns take fields by name or the renamed."""
    fields = {field: field for field in kind.__struct_fields__} | renamed
    columns = COLUMNS[table]
    known = ["position", "time", "what", "source", "day", None]
    taken = [name for name in columns if name in fields and name not in known]
    pick = itemgetter(*(_place(name, known, taken) for name in columns))
    get = attrgetter(*(fields[name] for name in taken)) if len(taken) > 1 else _one(fields[taken[0]])
    about = attrgetter(entity) if entity in kind.__struct_fields__ else None
    dated = "day" in columns

    def write(rows: Rows, event: Recorded, time: int, body: Event, facts: Facts) -> str:
        day = facts.days.of(time) if dated else None
        rows[table].append(pick((event.position, time, what, event.source, day, None, *get(body))))
        return str(about(body)) if about else entity

    return write


def _place(name: str, known: list[str | None], taken: list[str]) -> int:
    if name in taken:
        return len(known) + taken.index(name)
    return known.index(name) if name in known else known.index(None)


def _one(field: str) -> Callable[[object], tuple[object]]:
    get = attrgetter(field)
    return lambda body: (get(body),)


# --- tasks -------------------------------------------------------------------------------------------------


def submitted(rows: Rows, event: Recorded, time: int, body: TaskSubmitted, facts: Facts) -> str:
    """Write `task_asked`."""
    task = body.task
    place = (event.position, time, task, body.queue, body.kind, body.priority, body.complexity)
    own = (body.timeout_s, body.parent, body.due, trace_id(event.trace))
    rows["task_asked"].append(place + own)
    facts.book.submitted(event.position, time, body)
    return task


def started(rows: Rows, event: Recorded, time: int, body: TaskStarted, facts: Facts) -> str:
    """Write `task_claim`."""
    task, source = body.task, event.source
    legit = facts.book.claimed(event.position, time, source, body)
    place = (event.position, time, task, body.queue, body.unit, body.generation, body.pid, body.attempt)
    own = (body.deaths, body.solo, body.lease, body.note, source.startswith("agent."), legit)
    rows["task_claim"].append(place + own)
    return task


def _meaning(verdict: Verdict, time: int, facts: Facts) -> tuple[object, ...]:
    """Return what an end means: the last columns of `task_end`."""
    effective, task = verdict.effective, verdict.task
    if task is None:
        return (effective, verdict.final, verdict.fenced, None, None, None, None, None, None)
    claimed = task.claimed if effective else None
    place = (effective, verdict.final, verdict.fenced, task.submitted, claimed)
    own = (task.type, task.priority, task.agent, facts.days.of(time))
    return place + own


def finished(rows: Rows, event: Recorded, time: int, body: TaskFinished, facts: Facts) -> str:
    """Write the result of a task."""
    verdict = facts.book.ended(event.source, body)
    task = verdict.task
    if task is not None:
        facts.counted(task.unit, time, True, task.assigned or task.claimed)
        if task.agent and facts.downs:
            facts.recovered(rows, event, time, task.unit)
    place = (event.position, time, "finished", body.task, body.queue, body.unit, body.generation)
    own = (body.attempt, None, body.claim, None, None, body.service_ms, None, None, None, None, body.cleared)
    rows["task_end"].append(place + own + _meaning(verdict, time, facts))
    return body.task


def failed(rows: Rows, event: Recorded, time: int, body: TaskFailed, facts: Facts) -> str:
    """Write an attempt that went wrong."""
    verdict = facts.book.ended(event.source, body)
    task = verdict.task
    if task is not None:
        facts.counted(task.unit, time, False, task.assigned or task.claimed)
    place = (
        event.position,
        time,
        "failed",
        body.task,
        body.queue,
        body.unit,
        body.generation,
        body.attempt,
        None,
        body.claim,
    )
    own = (body.kind, body.error, body.service_ms, body.retry_in_s, None, None, body.deaths, body.cleared)
    rows["task_end"].append(place + own + _meaning(verdict, time, facts))
    return body.task


def released(rows: Rows, event: Recorded, time: int, body: TaskReleased, facts: Facts) -> str:
    """Write a claim that was given back."""
    verdict = facts.book.ended(event.source, body)
    place = (
        event.position,
        time,
        "released",
        body.task,
        body.queue,
        body.unit,
        body.generation,
        body.attempt,
        None,
        body.claim,
    )
    own = (None, None, None, None, None, None, body.deaths, None)
    rows["task_end"].append(place + own + _meaning(verdict, time, facts))
    return body.task


def died(rows: Rows, event: Recorded, time: int, body: TaskDied, facts: Facts) -> str:
    """Write the death of a task."""
    verdict = facts.book.closed(body)
    task = verdict.task
    if verdict.effective and task is not None:
        facts.counted(task.unit, time, False, task.assigned or task.claimed)
    place = (event.position, time, "died", body.task, body.queue, body.unit, None, None, body.attempts, None)
    own = (body.kind, body.error, body.service_ms, None, None, None, body.deaths, body.cleared)
    rows["task_end"].append(place + own + _meaning(verdict, time, facts))
    return body.task


def cancelled(rows: Rows, event: Recorded, time: int, body: TaskCancelled, facts: Facts) -> str:
    """Write the withdrawal of a task."""
    verdict = facts.book.closed(body)
    place = (event.position, time, "cancelled", body.task, body.queue, None, None, None, None, None)
    own = (None, None, None, None, None, body.reason, None, None)
    rows["task_end"].append(place + own + _meaning(verdict, time, facts))
    return body.task


_moved = plain(TaskMoved, "task_end", "task", "moved", moved_to="to")


def moved(rows: Rows, event: Recorded, time: int, body: TaskMoved, facts: Facts) -> str:
    """Write that a task left its queue."""
    facts.book.moved(body)
    return _moved(rows, event, time, body, facts)


def handed_over(rows: Rows, event: Recorded, time: int, body: HandedOver, _: Facts) -> str:
    """Write that a note on a task stands in the log; what it says stays there."""
    row = dict.fromkeys(COLUMNS["agent_event"])
    row |= {"position": event.position, "time": time, "what": "handed_over", "agent": body.agent}
    row |= {"task": body.task, "queue": body.queue, "attempt": body.attempt}
    rows["agent_event"].append(tuple(row.values()))
    return body.task


def agent_word(kind: type[Event], what: str) -> Writer:
    """Return the writer of an event that changes an agent."""
    write_event = plain(kind, "agent_event", "agent", what)

    def write(rows: Rows, event: Recorded, time: int, body: Event, facts: Facts) -> str:
        facts.agent_word(rows, event, time)
        return write_event(rows, event, time, body, facts)

    return write


# --- processes, ticks --------------------------------------------------------------------------------------


def exited(rows: Rows, event: Recorded, time: int, body: WorkerExited, _: Facts) -> str:
    """Write the end of a process."""
    at = micros(body.at) or time
    place = (event.position, time, "exited", body.unit, None, body.generation, body.pid, None, None)
    rows["unit_event"].append((*place, body.code, body.signal, body.error, at))
    return body.unit


def sampled(rows: Rows, event: Recorded, time: int, body: Sampled, facts: Facts) -> str:
    """Write a tick: processes and agents with how they have done lately, queues."""
    head = (event.position, time, body.full)
    rates = facts.rates_of
    held = {one.unit: one.fds for one in body.held}
    rows["unit_sample"].extend(
        (*head, *msgspec.structs.astuple(unit)[:_UNIT], held.get(unit.unit), *rates(unit.unit))
        for unit in body.units
    )
    rows["queue_sample"].extend((*head, *msgspec.structs.astuple(queue)[:_QUEUE]) for queue in body.queues)
    rows["agent_sample"].extend(
        (*head, *msgspec.structs.astuple(agent)[:_AGENT], *rates(agent.agent)) for agent in body.agents
    )
    if body.full:
        facts.levels(rows, event, time)
    return "node"


_UNIT, _QUEUE, _AGENT = 9, 5, 6


# --- decisions ---------------------------------------------------------------------------------------------

_ACTION_FIELDS = ("cause", "severity", "again", "generation", "until", "wanted")


def decided(rows: Rows, event: Recorded, time: int, body: Decided, facts: Facts) -> str:
    """Write a decision, and what it means for a task, an agent or an alert."""
    action = body.action
    values: dict[str, Any] = {name: getattr(body, name, None) for name in COLUMNS["decision"]}
    values |= {name: getattr(action, name, None) for name in _ACTION_FIELDS}
    if values["until"] is not None:
        values["until"] = micros(values["until"])
    values |= {"position": event.position, "time": time, "id": event.id, "candidates": len(body.candidates)}
    values["choice"] = str(action.__struct_config__.tag)
    rows["decision"].append(tuple(map(values.get, COLUMNS["decision"])))
    legit = body.mode == "act" and body.epoch == facts.lead.epoch
    if isinstance(action, AssignTask):
        place = (event.position, time, action.task, action.queue, action.agent, action.lease, action.attempt)
        rows["assignment"].append((*place, action.previous, body.reason, legit))
        if legit:
            facts.book.assigned(time, action)
    elif isinstance(action, ScoreAlert) and legit:
        cause = str(body.inputs.get("cause", "")) or None
        day = facts.days.of(time)
        row = (event.position, time, action.alert, action.verdict, cause, body.target, day)
        rows["alert_score"].append(row)
    facts.decided(rows, event, time, body)
    return body.target


def settled(kind: type[Event], what: str) -> Writer:
    """Return the writer of an outcome."""
    write_effect = plain(kind, "effect", "target", what)

    def write(
        rows: Rows, event: Recorded, time: int, body: EffectVerified | EffectFailed, facts: Facts
    ) -> str:
        facts.settled(rows, event, time, body)
        return write_effect(rows, event, time, body, facts)

    return write


def adopted(rows: Rows, event: Recorded, time: int, body: SettingsAdopted, facts: Facts) -> str:
    """Write settings as they came into force."""
    settings = msgspec.json.encode(body.settings).decode()
    rows["adopted"].append(
        (event.position, time, event.source, body.origin, body.digest, list(body.changed), settings)
    )
    facts.adopted(rows, event, time, body)
    return "node"


def analysed(rows: Rows, event: Recorded, time: int, body: DailyAnalysed, _: Facts) -> str:
    """Write what a daily analysis found."""
    missed = [item.name for item in body.indicators if item.met is False]
    said = [item.text for item in body.recommendations]
    rows["analysis"].append((event.position, time, body.day, body.position, body.digest, missed, said))
    return "node"


def unread(rows: Rows, event: Recorded, time: int, body: object, _: Facts) -> str:
    """Take what has no table: another release's events, and bytes that are none."""
    parts = event.subject.split(".")
    entity = parts[5] if len(parts) > 6 and parts[3] == "task" else parts[-1]
    if not isinstance(body, Event):
        reason = body.reason if isinstance(body, Malformed) else "unknown type"
        rows["unread"].append((event.position, time, event.type, event.source, event.subject, reason))
    return entity
