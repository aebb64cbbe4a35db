"""The Wisdom elf looks ahead and learns: forecasts that are scored, proposals that people approve."""

from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType

from actors.elves import Draft, View, foresight, proposing, tuning_trial
from events.envelope import Recorded
from events.event import Event
from events.observations import Sampled


class WisdomState(Struct):
    """What each part of the elf knows."""

    foresight: foresight.ForesightState
    proposing: proposing.ProposingState
    trial: tuning_trial.TrialState | UnsetType = UNSET


class WisdomElf:
    """Rules: `overload` (a load will pass the limit), `score` (what came of it), `abstain` (why nothing is said).

    And its proposals: `weekly_pattern`, `error_condition`, `timeout`, `size`, `memory_limit`, `order`; `tuning` (tried,
    too).
    """

    name = "wisdom"
    version = "1"
    state_type = WisdomState
    triggers: tuple[type[Event], ...] = (Sampled,)

    def initial(self) -> WisdomState:
        """See `Policy.initial`."""
        return WisdomState(foresight.blank(), proposing.blank())

    def fold(self, state: WisdomState, event: Recorded, view: View) -> None:
        """See `Policy.fold`."""
        foresight.fold(state.foresight, event, view)
        proposing.fold(state.proposing, event, view)
        if not state.trial and tuning_trial.touches(event):
            state.trial = tuning_trial.TrialState()
        if state.trial:
            tuning_trial.fold(state.trial, event, view, state.foresight.dispatch)

    def decide(self, state: WisdomState, view: View) -> Sequence[Draft]:
        """See `Policy.decide`."""
        drafts = [*foresight.decide(state.foresight, view), *proposing.decide(state.proposing, view)]
        if state.trial:
            drafts.extend(tuning_trial.decide(state.trial, view))
        return drafts

    def due(self, state: WisdomState, view: View) -> int:
        """See `Policy.due`: a load is looked at with every tick."""
        return 0
