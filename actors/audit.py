"""Replay: folds a log again from its raw observations, asks every policy at every trigger, compares."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from multiprocessing.connection import Connection
from typing import Any

import msgspec
from msgspec import Struct, field

from actors.audit_beside import ELVES, Beside, worth_it
from actors.audit_index import Index
from actors.elves import Policy
from actors.elves.deliberation import deliberate, encode_mind, fold, is_trigger, new_mind
from actors.policies import POLICIES
from actors.sealed import ImpureAccess, sealed
from actors.snapshots import digest_of_bytes, pure_zone
from events.codec import decode
from events.decisions import Decided
from events.envelope import Recorded
from events.observations import DeciderResumed, LeaseTaken
from projections.timeline import Timeline

Source = Callable[[], Iterator[Sequence[Recorded]]]

# Where the batch stands in its envelope, not what was decided.
_PLACE = ("ordinal", "size")

_clock = time.perf_counter


class Divergence(Struct, frozen=True):
    """One difference. `cls` in the order that is looked for: chain, state, version, impure, result, missing, extra.

    `missing`: replay decides, the log does not. `extra`: the log decides, replay does not.
    """

    decision: str
    cls: str = field(name="class")
    elf: str
    rule: str
    target: str
    as_of: int
    field: str
    recorded: Any
    replayed: Any


class Report(Struct):
    """What replay found. `unwritten` decisions were lost with their node before they were durable: no divergence."""

    events: int = 0
    decisions: int = 0
    evaluations: int = 0
    equal: int = 0
    divergences: list[Divergence] = field(default_factory=list)
    seconds: float = 0.0
    unwritten: int = 0
    unknown: int = 0
    other_versions: dict[str, int] = field(default_factory=dict)
    other_code: list[str] = field(default_factory=list)
    rules: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Report") -> None:
        """Take in what was found of other elves in the same log."""
        self.decisions += other.decisions
        self.evaluations += other.evaluations
        self.equal += other.equal
        self.divergences += other.divergences
        self.unwritten += other.unwritten
        self.other_versions |= other.other_versions
        self.rules |= other.rules

    @property
    def diverges(self) -> bool:
        """Tell whether anything differs that is not explained by another policy version."""
        return any(item.cls != "version" for item in self.divergences)


class Span(Struct, frozen=True):
    """Which decisions to report: by position of what they rest on, and by elf."""

    start: int = 0
    end: int | None = None
    elf: str = ""

    def holds(self, elf: str, as_of: int) -> bool:
        """Tell whether a decision lies within."""
        return (
            self.start <= as_of
            and (self.end is None or as_of <= self.end)
            and (not self.elf or elf == self.elf)
        )


EVERYTHING = Span()


def replay(
    source: Source,
    span: Span = EVERYTHING,
    policies: Sequence[Policy[Any]] = POLICIES,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Audit a log. `source` yields it from its beginning and is asked twice."""
    began = _clock()
    index = Index.of(source())
    report = Report(events=index.events)
    zone = pure_zone()
    report.other_code = sorted(
        {f"{start.release} ({start.pure_zone})" for start in index.starts if start.pure_zone != zone}
    )
    elves = [policy.name for policy in policies if not span.elf or policy.name == span.elf]
    there = (
        [name for name in elves if name in ELVES]
        if policies is POLICIES and worth_it(index.events, elves)
        else []
    )
    audit = Audit(index, span, [name for name in elves if name not in there], policies)
    with closing(Beside(_audit_there, tuple(there), index, span)) if there else nullcontext() as beside:
        for events in source():
            if beside:
                beside.take(events)
            audit.take(events)
            if progress and events:
                progress(events[-1].position, index.last)
        for found in (audit.finish(), *([beside.report()] if beside else [])):
            report.add(found)
    names = {policy.name for policy in policies}
    report.unknown = sum(len(batch) for key, batch in index.batches.items() if key[0] not in names)
    report.divergences.sort(key=lambda item: (item.as_of, item.elf, item.target, item.field))
    report.seconds = round(_clock() - began, 3)
    return report


class Audit:
    """Some elves' second lives, side by side; `take` wants the log's events in order."""

    def __init__(
        self, index: Index, span: Span, elves: Sequence[str], policies: Sequence[Policy[Any]] = POLICIES
    ) -> None:
        self._report = Report()
        self._auditors = [
            _Auditor(policy, index, self._report, span) for policy in policies if policy.name in elves
        ]

    def take(self, events: Sequence[Recorded]) -> None:
        """Fold events and ask whoever must have looked up."""
        with sealed():
            for event in events:
                for auditor in self._auditors:
                    auditor.take(event)

    def finish(self) -> Report:
        """Return what was found."""
        for auditor in self._auditors:
            auditor.finish()
        return self._report


def _audit_there(line: Connection, elves: Sequence[str], index: Index, span: Span) -> None:
    """Take stored events from a line until there are no more; say there what was found."""
    audit = Audit(index, span, elves)
    while (stored := line.recv()) is not None:
        audit.take([decode(*item) for item in stored])
    line.send(audit.finish())


class _Auditor:
    """One elf's second life."""

    def __init__(self, policy: Policy[Any], index: Index, report: Report, span: Span) -> None:
        self._policy = policy
        self._index = index
        self._report = report
        self._span = span
        self._mind = new_mind(policy)
        self._waiting = 0
        self._in_flight_until = 0
        self._looks: dict[type, bool] = {}
        self._seen: set[tuple[str, int, int]] = set()
        self._absences = index.absences.get(policy.name, ())
        self._checkpoints = {
            at: digest for (elf, at), digest in index.checkpoints.items() if elf == policy.name
        }

    def take(self, event: Recorded) -> None:
        """Fold one event and ask the policy if the elf must have looked up here."""
        fold(self._policy, self._mind, event)
        kind = type(event.body)
        if kind is LeaseTaken:
            self._waiting = self._in_flight_until = 0
        looks = self._looks.get(kind)
        if looks is None:
            looks = self._looks[kind] = is_trigger(self._policy, event)
        if (looks or (kind is DeciderResumed and self._resumes(event))) and self._deciding(event):
            self._waiting = event.position
        if self._absences and self._away(event.position):
            # What it was waiting for ended with it.
            self._waiting = 0
        if self._waiting and event.position >= self._in_flight_until:
            self._ask(event.position)
        if self._checkpoints and event.position in self._checkpoints:
            self._compare_state(event.position, self._checkpoints[event.position])

    def _resumes(self, event: Recorded) -> bool:
        return isinstance(event.body, DeciderResumed) and event.body.elf == self._policy.name

    def _deciding(self, event: Recorded) -> bool:
        """Tell whether an elf was there to look: its node lived, and it was not between failure and return."""
        epoch = self._mind.view.timeline.epoch
        if not epoch or event.position > self._index.alive_until.get(epoch, 0):
            return False
        return not self._away(event.position)

    def _away(self, position: int) -> bool:
        return bool(self._absences) and any(after < position < back for after, back in self._absences)

    def _ask(self, as_of: int) -> None:
        trigger, self._waiting = self._waiting, 0
        key = (self._policy.name, self._mind.view.timeline.epoch, as_of)
        recorded = self._index.batches.get(key, [])
        if recorded:
            self._seen.add(key)
        try:
            replayed = deliberate(self._policy, self._mind, trigger)
        except ImpureAccess as problem:
            self._impure(as_of, str(problem))
            replayed = []
        if recorded:
            self._in_flight_until = recorded[-1][0]
        if not self._span.holds(self._policy.name, as_of):
            return
        self._report.evaluations += 1
        if recorded or replayed:
            self._compare(recorded, replayed)

    def _compare(self, recorded: Sequence[tuple[int, str, Decided]], replayed: Sequence[Decided]) -> None:
        left = dict(zip(_keys(replayed), replayed, strict=True))
        keys = _keys([decided for _, _, decided in recorded])
        for key, (_, name, decided) in zip(keys, recorded, strict=True):
            self._count(decided)
            again = left.pop(key, None)
            if again is None:
                cls = "version" if decided.version != self._policy.version else "extra"
                self._add(name, cls, decided, "decision", _short(decided), None)
            else:
                self._compare_one(name, decided, again)
        timeline = self._mind.view.timeline
        if left and not recorded and (until := self._unwritten_until(timeline)):
            self._report.unwritten += len(left)
            self._in_flight_until = until
            return
        for again in left.values():
            self._add("", "missing", again, "decision", None, _short(again))

    def _unwritten_until(self, timeline: Timeline) -> int:
        return self._index.unwritten_until(self._policy.name, timeline.epoch, timeline.position, timeline.now)

    def _compare_one(self, name: str, decided: Decided, again: Decided) -> None:
        different = [
            part
            for part in Decided.__struct_fields__
            if part not in _PLACE and getattr(decided, part) != _plain(getattr(again, part))
        ]
        if not different:
            self._report.equal += 1
            return
        cls = "result"
        if decided.version != self._policy.version:
            cls = "version"
        elif decided.inputs_digest != again.inputs_digest:
            cls = "state"
        for part in different:
            self._add(
                name,
                cls,
                decided,
                part,
                msgspec.to_builtins(getattr(decided, part)),
                msgspec.to_builtins(getattr(again, part)),
            )

    def _count(self, decided: Decided) -> None:
        self._report.decisions += 1
        name = f"{decided.elf}.{decided.rule}"
        self._report.rules[name] = self._report.rules.get(name, 0) + 1
        if decided.version != self._policy.version:
            version = f"{decided.elf} {decided.version}"
            self._report.other_versions[version] = self._report.other_versions.get(version, 0) + 1

    def _compare_state(self, position: int, recorded: str) -> None:
        replayed = digest_of_bytes(encode_mind(self._mind))
        if replayed != recorded and self._span.holds(self._policy.name, position):
            self._report.divergences.append(
                Divergence("", "state", self._policy.name, "", "", position, "checkpoint", recorded, replayed)
            )

    def _impure(self, as_of: int, what: str) -> None:
        self._report.divergences.append(
            Divergence("", "impure", self._policy.name, "", "", as_of, "access", None, what)
        )

    def finish(self) -> None:
        """Name recorded decisions that rest on positions where nobody had to look."""
        for key, batch in self._index.batches.items():
            if key[0] != self._policy.name or key in self._seen or not self._span.holds(key[0], key[2]):
                continue
            for _, name, decided in batch:
                self._count(decided)
                self._add(name, "extra", decided, "as_of", _short(decided), None)

    def _add(self, name: str, cls: str, decided: Decided, part: str, recorded: Any, replayed: Any) -> None:
        self._report.divergences.append(
            Divergence(
                name,
                cls,
                decided.elf,
                decided.rule,
                decided.target,
                decided.as_of,
                part,
                recorded,
                replayed,
            )
        )


def _keys(batch: Sequence[Decided]) -> list[tuple[str, str, str, int]]:
    """Name the decisions of a batch by what they are about; the same about the same thing is counted."""
    seen: dict[tuple[str, str, str], int] = {}
    keys = []
    for decided in batch:
        key = (decided.rule, decided.target, str(decided.action.__struct_config__.tag))
        seen[key] = seen.get(key, -1) + 1
        keys.append((*key, seen[key]))
    return keys


def _short(decided: Decided) -> dict[str, Any]:
    return {"action": msgspec.to_builtins(decided.action), "reason": decided.reason, "text": decided.text}


def _plain(value: Any) -> Any:
    """Bring a fresh value to the form it has after a trip through the log: lists for tuples within inputs."""
    if isinstance(value, dict):
        return msgspec.json.decode(msgspec.json.encode(value))
    return value
