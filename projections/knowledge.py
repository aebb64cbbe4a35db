"""What was learnt: each closed incident, each approved proposal, each note of a person, folded into records."""

import re

from msgspec import Struct, field

from events.decisions import ClearAlert, Decided, Propose, RaiseAlert
from events.envelope import Recorded
from events.outcomes import EffectFailed, EffectVerified, WorkerStartOrdered
from events.proposals import KnowledgeAdded, ProposalApproved
from projections.glossary import term

# Rules whose acts are everyday work and no incident.
ROUTINE = frozenset(
    "start stop order reconfigure assign reassign give_up remind job prepare scale publication continue".split()
)
_KEPT = 2000
_OPEN = 500
_LAST = 5
_SOLVED = 3
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class Measure(Struct):
    """What was done against it, and how often that worked."""

    name: str
    worked: int = 0
    failed: int = 0


class Note(Struct):
    """A record: what was seen, why, what was done, how one knows. Times are microseconds since 1970."""

    id: str
    kind: str
    topic: str
    about: str
    title: str = ""
    symptom: str = ""
    cause: str = ""
    measures: list[Measure] = field(default_factory=list)
    proof: list[str] = field(default_factory=list)
    tags: tuple[str, ...] = ()
    times: int = 0
    first: int = 0
    last: int = 0
    position: int = 0


class Opened(Struct):
    """An alert that is open: what it said, since when."""

    text: str
    reason: str
    since: int
    tried: dict[str, str] = {}


class Acting(Struct):
    """An act without an outcome yet."""

    rule: str
    target: str
    text: str
    reason: str
    do: str


class Knowledge(Struct):
    """All records by id; `changed` are those that the last event touched."""

    position: int = 0
    notes: dict[str, Note] = {}
    opened: dict[str, Opened] = {}
    acting: dict[str, Acting] = {}
    offered: dict[str, Decided] = {}
    pools: dict[str, str] = {}
    changed: list[str] = field(default_factory=list)

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last, so that a fold cut short is recognised."""
        self.changed.clear()
        body = event.body
        match body:
            case WorkerStartOrdered(unit=unit, pool=pool):
                self.pools[unit] = pool
            case Decided():
                self._decided(event, body)
            case EffectVerified() | EffectFailed():
                self._settled(event, body)
            case ProposalApproved(decision=decision) if event.source.startswith("operator."):
                offered = self.offered.pop(decision, None)
                if offered:
                    self._adopted(event, offered, body)
            case KnowledgeAdded():
                self._added(event, body)
            case _:
                pass
        self.position = event.position

    def _decided(self, event: Recorded, decided: Decided) -> None:
        action = decided.action
        tag = str(action.__struct_config__.tag)
        if tag.startswith("propose") or decided.mode == "advise":
            self.offered[event.id] = decided
            _cut(self.offered)
        if decided.mode != "act":
            return
        match action:
            case RaiseAlert(cause=cause):
                key = f"{cause}/{decided.target}"
                self.opened.setdefault(key, Opened(decided.text, decided.reason, event.time, {}))
                _cut(self.opened)
            case ClearAlert(cause=cause):
                opened = self.opened.pop(f"{cause}/{decided.target}", None)
                if opened:
                    self._closed(event, cause, decided, opened)
            case _ if action.effect and decided.rule not in ROUTINE:
                self.acting[event.id] = Acting(
                    decided.rule, decided.target, decided.text, decided.reason, tag
                )
                _cut(self.acting)

    def _settled(self, event: Recorded, outcome: EffectVerified | EffectFailed) -> None:
        acting = self.acting.pop(outcome.decision, None)
        if acting is None:
            return
        worked = isinstance(outcome, EffectVerified)
        for key, opened in self.opened.items():
            if key.endswith(f"/{acting.target}"):
                opened.tried[outcome.decision] = f"{'+' if worked else '-'}{acting.do}"
        note = self._note(acting.rule, acting.target, event)
        note.symptom, note.cause = acting.text, acting.reason
        _count(note, acting.do, worked)
        if isinstance(outcome, EffectVerified):
            detail = f": {outcome.detail}" if outcome.detail else ""
            _prove(note, f"{outcome.decision} worked for {acting.target}{detail}")
            self._touch(note, event)
        else:
            _prove(note, f"{outcome.decision} did not work for {acting.target}: {outcome.error}")

    def _closed(self, event: Recorded, cause: str, decided: Decided, opened: Opened) -> None:
        note = self._note(cause, decided.target, event)
        note.symptom, note.cause = opened.text, opened.reason
        for tried in opened.tried.values():
            _count(note, tried[1:], tried[0] == "+")
        minutes = (event.time - opened.since) / 60e6
        _prove(note, f"closed after {minutes:.1f} min: {decided.text}")
        self._touch(note, event)

    def _adopted(self, event: Recorded, offered: Decided, answer: ProposalApproved) -> None:
        action = offered.action
        note = self.notes.setdefault(
            answer.decision, Note(answer.decision, "decision", offered.rule, offered.target)
        )
        note.symptom = action.claim if isinstance(action, Propose) else offered.text
        note.cause = offered.reason
        note.measures = [Measure(action.gain if isinstance(action, Propose) else offered.text)]
        why = f": {answer.reason}" if answer.reason else ""
        _prove(note, f"{event.source} approved {answer.decision}{why}")
        if isinstance(action, Propose):
            _prove(note, f"{action.low:g} to {action.high:g} from {action.n} cases; {action.sql}")
        self._touch(note, event)

    def _added(self, event: Recorded, body: KnowledgeAdded) -> None:
        note = self.notes.setdefault(body.record, Note(body.record, "note", "", ""))
        note.kind, note.title, note.symptom, note.cause = "note", body.title, body.symptom, body.cause
        note.measures = [Measure(body.measure)] if body.measure else []
        note.proof = [body.proof] if body.proof else []
        note.tags = body.tags
        self._touch(note, event)

    def _note(self, topic: str, target: str, event: Recorded) -> Note:
        """Return the record of a topic and of what it is about, a pool for its units."""
        about = self.pools.get(target, target)
        name = _UNSAFE.sub("-", f"{topic}-{about}")[:64].strip("-")
        note = self.notes.get(name)
        if note is None:
            note = self.notes[name] = Note(name, "incident", topic, about)
        return note

    def _touch(self, note: Note, event: Recorded) -> None:
        note.times += 1
        note.first = note.first or event.time
        note.last, note.position = event.time, event.position
        solved = sum(measure.worked for measure in note.measures)
        if note.kind == "incident" and solved >= _SOLVED:
            failed = sum(measure.failed for measure in note.measures)
            note.kind = "pattern" if solved >= 4 * failed else note.kind
        self.changed.append(note.id)
        if len(self.notes) > _KEPT:
            others = [item for item in self.notes.values() if item.kind != "note" and item.id != note.id]
            if others:
                del self.notes[min(others, key=lambda item: item.last).id]


def title_of(note: Note) -> tuple[str, str]:
    """Return a record's title in English and Japanese; what a person wrote stands for both."""
    if note.title:
        return note.title, note.title
    words = term(note.topic)
    return f"{note.about}: {words.english}", f"{note.about}:{words.japanese}"


def _count(note: Note, name: str, worked: bool) -> None:
    measure = next((item for item in note.measures if item.name == name), None)
    if measure is None:
        measure = Measure(name)
        note.measures.append(measure)
    measure.worked += worked
    measure.failed += not worked


def _prove(note: Note, text: str) -> None:
    note.proof.append(text[:500])
    del note.proof[:-_LAST]


def _cut(kept: dict[str, Opened] | dict[str, Acting] | dict[str, Decided]) -> None:
    while len(kept) > _OPEN:
        del kept[next(iter(kept))]
