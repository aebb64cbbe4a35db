"""What agents may ask of the node, and what the operator may do about their credentials."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from actors.agent_words import Question
from actors.bus import Bus
from actors.control import Answer, Refused, asked
from actors.journal import Journal
from actors.liaison import Asked
from actors.nats_server import drop_agent, ensure_agent
from events.agents import AgentAdded, AgentRevoked
from events.envelope import Recorded
from events.event import Event
from events.log import LogUnreachable, Receipt, entry
from events.settings import Limits
from events.subjects import task_filter, token
from events.tasks import TaskSubmitted
from events.traces import trace_id
from projections.agency import Agency, Note
from projections.segments import Segments

_WAIT_S = 12.0
_WRITE_S = 10.0
_NOTE_LIMIT = 64 * 1024


class AgentDesk:
    """Lives on the bus. `tell` reaches the actor "agents"; `issue(names, name)` makes the server know exactly these."""

    def __init__(
        self,
        bus: Bus,
        journal: Journal,
        tell: Callable[[str, object], bool],
        limits: Callable[[], Limits],
        issue: Callable[[Sequence[str], str], dict[str, str]],
        segments: Segments | None,
    ) -> None:
        self._bus = bus
        self._journal = journal
        self._tell = tell
        self._limits = limits
        self._issue = issue
        self._segments = segments
        self._one = asyncio.Lock()

    # --- agents ------------------------------------------------------------------------------------------------

    async def answer(self, name: str, data: bytes) -> Answer:
        """Answer `ctl.agent.<name>`."""
        try:
            question = msgspec.json.decode(data, type=Question)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise Refused(f"expected a question of agent {name}, got: {problem}") from None
        match question.do:
            case "hello":
                return await self._hello(name)
            case "fetch":
                return await self._fetch(name, question)
            case "settle":
                return await self._settle(name, question)

    async def _hello(self, name: str) -> Answer:
        facts = await self._facts(0, lambda agency: _welcome(name, agency, self._limits()))
        if facts["ok"]:
            try:
                await ensure_agent(self._bus.connection, name, facts["position"] + 1)
            except LogUnreachable as problem:
                raise Refused(str(problem), 4) from None
        return facts

    async def _fetch(self, name: str, question: Question) -> Answer:
        last = await self._last(question)
        at = max(question.at, last)
        facts = await self._facts(
            at, lambda agency: _text(name, question, agency, last), f"{question.queue}/{question.task}"
        )
        if not facts["ok"]:
            return facts
        event = await self._read(facts["submitted"])
        if event is None or not isinstance(event.body, TaskSubmitted):
            raise Refused(f"expected the text of task {question.task} at {facts['submitted']}, got none", 1)
        body = event.body
        default = facts.pop("queue_timeout_s")
        return facts | {
            "kind": body.kind,
            "payload": body.payload,
            "priority": body.priority,
            "timeout_s": body.timeout_s or default,
            "cause": event.id,
            "traceparent": event.trace if trace_id(event.trace) else "",
        }

    async def _settle(self, name: str, question: Question) -> Answer:
        """Say whether a claim counts as of the very last event of its task."""
        at = await self._last(question)
        return await self._facts(at, lambda agency: _verdict(name, question, agency, at))

    async def _last(self, question: Question) -> int:
        """Return where the last message about a task stands, whoever wrote it and be it garbage."""
        try:
            about = task_filter(token(question.queue, "queue"), token(question.task, "task id"))
            last = await self._bus.log.last(about)
        except ValueError as problem:
            raise Refused(str(problem)) from None
        except LogUnreachable as problem:
            raise Refused(str(problem), 4) from None
        return last.position if last else 0

    async def _facts(self, at: int, look: Callable[[Agency], Answer], key: str = "") -> Answer:
        loop = asyncio.get_running_loop()
        return await asked(
            loop,
            lambda reply: self._tell("agents", Asked(at, lambda agency: reply(look(agency)), key)),
            _WAIT_S,
        )

    async def _read(self, position: int) -> Recorded | None:
        """Read one event, from the stream or from what is sealed."""
        try:
            found = await self._bus.log.at(position)
        except LogUnreachable as problem:
            raise Refused(str(problem), 4) from None
        if found is not None or self._segments is None:
            return found
        return await asyncio.to_thread(_sealed, self._segments, position)

    # --- the operator ------------------------------------------------------------------------------------------------

    async def manage(self, body: dict[str, Any]) -> Answer:
        """Give an agent credentials or withdraw them; `ctl.agent` with {do, name, reason}."""
        do, name = str(body.get("do", "")), str(body.get("name", ""))
        try:
            token(name, "an agent's name")
        except ValueError as problem:
            raise Refused(str(problem)) from None
        async with self._one:
            known = (await self._facts(0, lambda agency: {"ok": True, "known": _known(agency)}))["known"]
            if do == "add":
                return await self._add(name, known)
            if do == "revoke":
                return await self._revoke(name, known, str(body.get("reason", "")))
        raise Refused(f"expected add or revoke, got {do!r}")

    async def _add(self, name: str, known: list[str]) -> Answer:
        if name not in known:
            await self._write(AgentAdded(agent=name))
        issued = await asyncio.to_thread(self._issue, sorted({*known, name}), name)
        return {"ok": True, "agent": name, "new": name not in known, **issued}

    async def _revoke(self, name: str, known: list[str], reason: str) -> Answer:
        if name not in known:
            raise Refused(f"expected an agent with credentials, got {name!r}; try elf agent list", 1)
        await self._write(AgentRevoked(agent=name, reason=reason))
        await asyncio.to_thread(self._issue, sorted(set(known) - {name}), name)
        await drop_agent(self._bus.connection, name)
        return {"ok": True, "agent": name}

    async def _write(self, body: Event) -> None:
        """Write as the node and wait until the actor has read it."""
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[Receipt | Exception] = loop.create_future()
        self._journal.append([entry(self._journal.envelope(body))], stored.set_result)
        result = await asyncio.wait_for(stored, _WRITE_S)
        if isinstance(result, Exception):
            raise Refused(f"expected the log to take it, got: {result}", 4)
        await self._facts(result.positions[-1], lambda _: {"ok": True})


def _sealed(segments: Segments, position: int) -> Recorded | None:
    for events in segments.events(position - 1, position):
        for event in events:
            return event
    return None


def _known(agency: Agency) -> list[str]:
    return [name for name, agent in agency.dispatch.agents.agents.items() if agent.known]


def _welcome(name: str, agency: Agency, limits: Limits) -> Answer:
    agent = agency.dispatch.agents.agents.get(name)
    if agent is None or not agent.known:
        return _no(f"expected an agent of this forest, got {name!r}; try elf agent add {name}", 2)
    if agent.intent == "retire":
        return _no(f"agent {name} is retired; try elf agent readmit {name}", 1)
    beat_s = min(5.0, limits.agent_suspect_s / 3)
    return {"ok": True, "beat_s": beat_s, "intent": agent.intent, "position": agency.position}


def _text(name: str, question: Question, agency: Agency, last: int) -> Answer:
    """The facts of a task for who holds this lease of it; its payload is read elsewhere."""
    dispatch = agency.dispatch
    if not dispatch.owns(name, question.queue, question.task, question.lease):
        return _no(f"task {question.task} (lease {question.lease}) is not {name}'s any more", 1)
    key = f"{question.queue}/{question.task}"
    task = dispatch.tasks[key]
    note = agency.notes.get(key)
    queue = next((one for one in agency.settings.queues if one.name == question.queue), None)
    return {
        "ok": True,
        "task": task.task,
        "queue": task.queue,
        "attempt": task.attempts + 1,
        "after": max(last, task.after),
        "submitted": task.submitted,
        "queue_timeout_s": queue.timeout_s if queue else 600.0,
        "note": note.position if note else 0,
        "hand_over": _readable(note) if note else None,
    }


def _readable(note: Note) -> dict[str, Any]:
    """Return a note as the next agent reads it; one that nobody could read is left out."""
    known = {"agent": note.agent, "attempt": note.attempt}
    size = len(msgspec.json.encode(note.note))
    if size > _NOTE_LIMIT:
        return known | {"error": f"expected a note of at most {_NOTE_LIMIT} bytes, got {size}; see elf why"}
    return known | note.note


def _verdict(name: str, question: Question, agency: Agency, at: int) -> Answer:
    task = agency.dispatch.tasks.get(f"{question.queue}/{question.task}")
    if task is None or name not in task.leases:
        return {"ok": True, "yours": False, "why": "it has ended" if task is None else "it never was"}
    if task.is_owner(name, question.claim):
        return {"ok": True, "yours": True, "after": at}
    who = task.claimer or task.agent or "nobody"
    return {"ok": True, "yours": False, "why": f"it is {who}'s now"}


def _no(error: str, code: int) -> Answer:
    return {"ok": False, "error": error, "code": code}
