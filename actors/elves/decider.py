"""When an elf looks up and when it must wait: one batch in flight, everything computable from the log alone.

At a trigger the policy is asked as of that position. While a batch of its own is on its way to the log, triggers wait;
when the batch's last decision is folded they are answered once, as of there. Replay computes the same positions.
"""

from typing import Any

from actors.elves import Policy
from actors.elves.deliberation import Mind, decision_id, deliberate, fold, is_trigger
from events.decisions import Decided
from events.envelope import Recorded
from events.observations import DeciderResumed


class Decider:
    """One elf's attention. `epoch` 0 means that it only folds."""

    def __init__(
        self, policy: Policy[Any], mind: Mind[Any], epoch: int = 0, resumes_after: int | None = None
    ) -> None:
        self.policy = policy
        self.mind = mind
        self.epoch = epoch
        self._resumes_after = resumes_after
        self._last_id = ""
        self._trigger = 0

    @property
    def position(self) -> int:
        """The last position folded."""
        return self.mind.view.timeline.position

    @property
    def waiting(self) -> bool:
        """Tell whether a batch is on its way."""
        return bool(self._last_id)

    def take(self, event: Recorded) -> list[Decided]:
        """Fold one event; return the batch that must be written now, empty for none."""
        fold(self.policy, self.mind, event)
        if event.id == self._last_id:
            self._last_id = ""
        if self._leads(event) and is_trigger(self.policy, event):
            self._trigger = event.position
        if not self._trigger or self._last_id:
            return []
        trigger, self._trigger = self._trigger, 0
        decisions = deliberate(self.policy, self.mind, trigger)
        if decisions:
            self._last_id = decision_id(decisions[-1])
        return decisions

    def step_down(self) -> None:
        """Decide nothing more: somebody else leads."""
        self.epoch = 0
        self._last_id = ""
        self._trigger = 0

    def _leads(self, event: Recorded) -> bool:
        """Tell whether this elf leads at the event; after a failure it leads again from its own notice on."""
        if not self.epoch or self.mind.view.timeline.epoch != self.epoch:
            return False
        if self._resumes_after is None:
            return True
        body = event.body
        mine = isinstance(body, DeciderResumed) and body.elf == self.policy.name
        if mine and isinstance(body, DeciderResumed) and body.after == self._resumes_after:
            self._resumes_after = None
            self._trigger = event.position
        return False
