"""What each elf did last, does next and would like to do: the lines of elves on a dashboard."""

from typing import Any

from msgspec import Struct, field

from events.decisions import (
    Abstain,
    ClearAlert,
    Decided,
    Defer,
    Propose,
    ProposeBatch,
    ProposeMaintenance,
    ProposeMove,
    ProposeRestart,
    RaiseAlert,
    ScoreAlert,
)
from events.envelope import Recorded
from events.proposals import ProposalApproved, ProposalRejected
from projections.jobs import Jobs
from projections.reminders import Reminders
from projections.timeline import Timeline

_SECOND = 1_000_000
# As in the view `proposals`: advice that is not repeated for so long is over, and so is what names no end of its own.
_ADVICE = 1200 * _SECOND
_PROPOSAL = 3600 * _SECOND
_SHOWN = 20
_SWEPT = 64
_NO_ADVICE = (RaiseAlert, ClearAlert, ScoreAlert, Abstain, Defer)
_NO_DEED = (ScoreAlert, Abstain, Defer)
_PROPOSES = (Propose, ProposeMove, ProposeBatch, ProposeMaintenance, ProposeRestart)


class Deed(Struct, frozen=True):
    """One decision worth showing; times are microseconds."""

    time: int
    elf: str
    text: str
    decision: str
    mode: str
    rule: str = ""
    choice: str = ""
    target: str = ""

    def row(self) -> dict[str, Any]:
        """Return it as the page shows it."""
        return {
            "time": self.time / _SECOND,
            "elf": self.elf,
            "rule": self.rule,
            "choice": self.choice,
            "target": self.target,
            "text": self.text,
            "decision": self.decision,
            "mode": self.mode,
        }


def deed_of(event: Recorded, decided: Decided) -> Deed:
    """Return what of a decision is shown."""
    return Deed(
        time=event.time,
        elf=decided.elf,
        text=decided.text,
        decision=event.id,
        mode=decided.mode,
        rule=decided.rule,
        choice=str(decided.action.__struct_config__.tag),
        target=decided.target,
    )


class Proposal(Struct, frozen=True):
    """A proposal or a piece of advice that waits for an answer until it `expires` (forest microseconds)."""

    deed: Deed
    expires: int


class Doings(Struct):
    """`last` by elf; `proposed` by elf, rule and target, of which the last one stands for all before it."""

    last: dict[str, Deed] = field(default_factory=dict)
    proposed: dict[str, Proposal] = field(default_factory=dict)
    reminders: Reminders = field(default_factory=Reminders)
    jobs: Jobs = field(default_factory=Jobs)

    def apply(self, event: Recorded, timeline: Timeline) -> None:
        """Fold one event. Call after the timeline has folded it."""
        self.reminders.apply(event, timeline.now)
        self.jobs.apply(event, timeline.now)
        match event.body:
            case Decided() as decided if decided.epoch >= timeline.epoch:
                self._decided(event, decided, timeline.now)
            case ProposalApproved(decision=id) | ProposalRejected(decision=id):
                if event.source.startswith("operator."):
                    self.proposed = {k: one for k, one in self.proposed.items() if one.deed.decision != id}
            case _:
                return

    def _decided(self, event: Recorded, decided: Decided, now: int) -> None:
        action = decided.action
        if not isinstance(action, _NO_DEED):
            self.last[decided.elf] = deed_of(event, decided)
        if isinstance(action, _PROPOSES):
            expires = _end_of(decided, event.time)
        elif decided.mode == "advise" and not isinstance(action, _NO_ADVICE):
            expires = event.time + _ADVICE
        else:
            return
        if len(self.proposed) % _SWEPT == _SWEPT - 1:
            self.proposed = {key: one for key, one in self.proposed.items() if one.expires >= now}
        key = f"{decided.elf}/{decided.rule}/{decided.target}"
        self.proposed[key] = Proposal(deed_of(event, decided), expires)

    def open(self, now: int) -> list[Proposal]:
        """Return what waits for an answer, the latest first."""
        found = [one for one in self.proposed.values() if one.expires >= now]
        return sorted(found, key=lambda one: (one.deed.time, one.deed.decision), reverse=True)

    def proposals(self, now: int) -> list[dict[str, Any]]:
        """Return the latest of them as the page shows them."""
        return [{**one.deed.row(), "expires": one.expires / _SECOND} for one in self.open(now)[:_SHOWN]]

    def next_reminder(self) -> dict[str, Any] | None:
        """Return which worker is reminded next, of what and when; None if no clock decides."""
        item = min((one for one in self.reminders.items.values() if one.due), key=_due, default=None)
        if item is None:
            return None
        about = {"name": item.name, "worker": item.worker, "text": item.text}
        return {"time": item.due / _SECOND, "kind": "reminder", **about}

    def next_job(self) -> dict[str, Any] | None:
        """Return which job runs next and when."""
        job = min((one for one in self.jobs.items.values() if one.due), key=_due, default=None)
        if job is None:
            return None
        return {"time": job.due / _SECOND, "kind": "job", "name": job.name, "worker": "", "text": ""}


def _due(item: Any) -> tuple[int, str]:
    return item.due, item.name


def _end_of(decided: Decided, time: int) -> int:
    match decided.action:
        case Propose(expires=end) | ProposeMaintenance(start=end) | ProposeRestart(at=end):
            return end
        case _:
            return time + (_ADVICE if decided.mode == "advise" else _PROPOSAL)
