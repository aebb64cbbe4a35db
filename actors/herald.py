"""Brings reminders to workers: a line in the log, the notice file, a message to the runner; each once by its id."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from actors.doer import Doer, Lead
from actors.feed import Subscription
from actors.notice_files import add_line, put_notice
from actors.runtime import Watcher
from actors.snapshots import Snapshots
from events.decisions import Decided, Prepare, Remind
from events.envelope import Recorded
from events.observations import WorkerExited, WorkerReady
from events.outcomes import EffectFailed, EffectStarted, EffectVerified
from events.reminders import RequestAnswered
from projections.errands import Deliveries, OpenReminder
from projections.reminders import schedule_of
from projections.schedule import upcoming
from projections.units import worker_of

_log = logging.getLogger("elf.herald")

# A runner says at once that it heard; garbage is collected between two tasks.
HEARD_S = 30.0
COLLECTED_S = 120.0
# Messages may get lost while the server is away.
AGAIN_S = (3.0, 10.0)
_PREVIEW = 5


class ShowReminders(Struct, frozen=True):
    """Asks for the reminders with their next times; `reply` gets them."""

    reply: Callable[[dict[str, Any]], None]


class _Overdue(Struct, frozen=True):
    decision: str


class _TellAgain(Struct, frozen=True):
    decision: str


class Places(Struct, frozen=True):
    """Where to leave word: the folder of the logs, the notice file of a worker (empty for none), messages."""

    logs: Path
    notice_file: Callable[[str], str]
    publish: Callable[[str, bytes], None]


class Herald(Doer[Deliveries]):
    """One at a time, in the order of the log. A crash in between is settled by saying it again under its id."""

    def __init__(
        self,
        watcher: Watcher,
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
        lead: Lead,
        places: Places,
    ) -> None:
        super().__init__("herald", watcher, subscribe, snapshots, Deliveries(), lead)
        self._places = places
        self._left: dict[str, list[str]] = {}

    def handle(self, message: Any) -> Any:
        """Take events, questions and the end of patience."""
        match message:
            case ShowReminders(reply=reply):
                settings = self.fold.settings
                workers = [worker.name for worker in settings.workers]
                about = {"timezone": settings.timezone, "workers": workers}
                reply({"ok": True, **about, "reminders": self._rows()})
            case _TellAgain(decision=decision):
                for unit in sorted(self.fold.living):
                    self._tell(decision, unit)
            case _Overdue(decision=decision):
                self._finish(decision, overdue=True)
            case _:
                return super().handle(message)
        return None

    def take_over(self) -> None:
        """Say again what nobody saw delivered."""
        for each in list(self.fold.open.values()):
            self._deliver(each, again=True)

    def carry_out(self, event: Recorded) -> None:
        """Deliver what is decided, and see who has heard it."""
        match event.body:
            case Decided(action=Remind(), mode="act"):
                self._deliver(self.fold.open[event.id], again=False)
            case Decided(action=Prepare() as prepare, mode="act") as decided:
                self._announce(event.id, prepare, decided.text)
            case RequestAnswered(request=request):
                self._finish(request)
            case WorkerReady(unit=unit):
                # It lived when it was told and could not hear yet; what it did hear it knows by its id.
                for decision in self._left:
                    self._tell(decision, unit)
            case WorkerExited():
                for decision in list(self._left):
                    self._finish(decision)
            case _:
                return

    def _deliver(self, each: OpenReminder, again: bool) -> None:
        remind, decision = each.remind, each.decision
        self.journal.write(EffectStarted(decision=decision, target=each.target), cause=decision)
        left = self._leave_word(each, again)
        for unit in self.fold.units_of(remind):
            self._tell(decision, unit)
        self._left[decision] = left
        patience = COLLECTED_S if remind.request else HEARD_S
        for pause in AGAIN_S:
            self.clock.later(pause, lambda: self.tell_me(_TellAgain(decision)))
        self.clock.later(patience, lambda: self.tell_me(_Overdue(decision)))
        self._finish(decision)

    def _tell(self, decision: str, unit: str) -> None:
        """Send a message to one process that has not answered."""
        each = self.fold.open.get(decision)
        if each and unit in self.fold.units_of(each.remind) and unit not in each.answers:
            message = self._message(each, "gc" if each.remind.request else "remind")
            self._places.publish(f"run.{each.remind.worker}.{unit}", msgspec.json.encode(message))

    def _leave_word(self, each: OpenReminder, again: bool) -> list[str]:
        """Write the log line and the notice file; returns where it stands now."""
        remind = each.remind
        worker = worker_of(self.fold.settings, remind.worker)
        units = [remind.unit] if remind.unit else list(worker.units if worker else ())
        late = f" ({remind.late_s} s late)" if remind.late_s else ""
        left: list[str] = []
        try:
            for unit in units:
                text = f"reminder: {remind.words}{late}"
                add_line(self._places.logs / f"{unit}.log", text, each.decision, again)
                left.append(f"log of {unit}")
            file = self._places.notice_file(remind.worker)
            if file:
                put_notice(Path(file), self._message(each, "remind"))
                left.append(file)
        except OSError as problem:
            _log.warning("%s is not told everywhere: %s", remind.worker, problem)
            left.append(f"not everywhere: {problem.strerror}: {problem.filename}")
        return left

    def _message(self, each: OpenReminder, do: str) -> dict[str, Any]:
        remind = each.remind
        return {
            "do": do,
            "id": each.decision,
            "reminder": remind.reminder,
            "worker": remind.worker,
            "unit": remind.unit,
            "text": remind.words,
            "due": remind.due / 1e6 if remind.due else None,
            "late_s": remind.late_s,
            "request": remind.request,
        }

    def _finish(self, decision: str, overdue: bool = False) -> None:
        """Settle a delivery that everybody has heard, or whose time is over."""
        each = self.fold.open.get(decision)
        if each is None or decision not in self._left:
            self._left.pop(decision, None)
            return
        worker = worker_of(self.fold.settings, each.remind.worker)
        runners = self.fold.units_of(each.remind) if worker and worker.queue else []
        silent = [unit for unit in runners if unit not in each.answers]
        if silent and not overdue:
            return
        told = [*self._left.pop(decision), *(_heard(answer) for _, answer in sorted(each.answers.items()))]
        problem = _problem(each, silent)
        outcome: EffectVerified | EffectFailed
        if problem:
            outcome = EffectFailed(decision=decision, target=each.target, error=problem)
        else:
            told.extend(f"{unit} did not answer" for unit in silent)
            outcome = EffectVerified(decision=decision, target=each.target, detail="; ".join(told))
        self.journal.write(outcome, cause=decision)

    def _announce(self, decision: str, prepare: Prepare, text: str) -> None:
        message = {
            "do": "prepare",
            "id": decision,
            "queue": prepare.queue,
            "type": prepare.kind,
            "expected": prepare.expected,
            "at": prepare.at / 1e6,
            "confidence": prepare.confidence,
        }
        for worker in self.fold.settings.workers:
            if worker.queue == prepare.queue:
                self._places.publish(f"run.{worker.name}.all", msgspec.json.encode(message))
                for unit in worker.units:
                    try:
                        add_line(self._places.logs / f"{unit}.log", f"prepare: {text}", decision, again=False)
                    except OSError as problem:
                        _log.warning("%s is not told: %s", unit, problem)

    def _rows(self) -> list[dict[str, Any]]:
        now = self.clock.now()
        return [
            {
                "name": item.name,
                "worker": item.worker,
                "when": item.when,
                "text": item.text,
                "zone": item.zone.name,
                "by_hand": item.by_hand,
                "last": item.told / 1e6 if item.told else None,
                "next": [at / 1e6 for at in upcoming(schedule_of(item.when), item.zone, now, _PREVIEW)],
            }
            for _, item in sorted(self.fold.reminders.items.items())
        ]


def _heard(answer: RequestAnswered) -> str:
    if answer.do == "gc":
        return f"{answer.unit}: {answer.before / 1e6:.1f} MB before, {answer.after / 1e6:.1f} MB after"
    return f"{answer.unit}: {answer.detail}"


def _problem(each: OpenReminder, silent: list[str]) -> str:
    """Return why a request was not met; a reminder that stands in log and file was delivered."""
    if not each.remind.request:
        return ""
    bad = [
        f"{unit}: {answer.detail or 'no'}" for unit, answer in sorted(each.answers.items()) if not answer.ok
    ]
    bad.extend(f"{unit} did not answer within {COLLECTED_S:g} s" for unit in silent)
    if not each.answers and not silent:
        bad.append("nobody lives who could be asked")
    return "; ".join(bad)
