"""What an elf has decided and has not seen the end of: no second act on a target before the first is settled."""

from msgspec import Struct

from events.decisions import Decided, Defer
from events.envelope import Recorded
from events.outcomes import EffectFailed, EffectVerified
from events.proposals import ProposalApproved, ProposalRejected

# The same advice, observation or deferral is not written again within this time (seed: one alert per 15 minutes).
REPEAT_US = 900_000_000
# What a person approved may be done within this time; what one rejected is not said again for that long.
APPROVED_US = 3_600_000_000
REJECTED_US = 86_400_000_000
_ADVICE_KEPT = 200
# What was said or put off is looked through for what has lapsed each time it has grown by so many.
_SWEPT = 256
# A second act on the same unit within this time costs double, every further one four times.
FLAPPING_US = 1_800_000_000


class Effect(Struct):
    """An act whose outcome is still open: `do` is its action's tag, `generation` the one it speaks of."""

    decision: str
    rule: str
    target: str
    cost: int
    since: int
    do: str
    generation: int


class Standing(Struct):
    """Open effects by target, and when what else was said last by `rule/target`.

    `acts` holds when each unit was last acted on for points, `advised` the last pieces of advice by decision,
    `approved` until when one of them may be followed.
    """

    effects: dict[str, Effect] = {}
    said: dict[str, int] = {}
    deferred: dict[str, int] = {}
    advised: list[tuple[str, str]] = []
    approved: dict[str, int] = {}
    acts: dict[str, list[int]] = {}

    def note(self, event: Recorded, decided: Decided, now: int) -> None:
        """Fold one of the elf's own decisions."""
        key = f"{decided.rule}/{decided.target}"
        if decided.mode != "act":
            self._say(key, now)
            if decided.mode == "advise":
                self.advised = [*self.advised[1 - _ADVICE_KEPT :], (event.id, key)]
            return
        action = decided.action
        if isinstance(action, Defer):
            if len(self.deferred) % _SWEPT == _SWEPT - 1:
                self.deferred = {one: until for one, until in self.deferred.items() if until > now}
            self.deferred[key] = action.until
            return
        self.deferred.pop(key, None)
        self.approved.pop(key, None)
        if decided.cost and str(action.__struct_config__.tag).endswith("_unit"):
            self.acts[decided.target] = [*self._recent_acts(decided.target, now), now]
        if action.effect:
            self.effects[decided.target] = Effect(
                decision=event.id,
                rule=decided.rule,
                target=decided.target,
                cost=decided.cost,
                since=now,
                do=str(action.__struct_config__.tag),
                generation=getattr(action, "generation", 0),
            )

    def settle(self, outcome: EffectVerified | EffectFailed) -> Effect | None:
        """Fold an outcome; return the effect that it ended."""
        effect = self.effects.get(outcome.target)
        if effect is None or effect.decision != outcome.decision:
            return None
        return self.effects.pop(outcome.target)

    def answer(self, body: ProposalApproved | ProposalRejected, now: int) -> None:
        """Fold what a person answered to a piece of advice."""
        key = next((key for decision, key in self.advised if decision == body.decision), None)
        if key is None:
            return
        self.advised = [one for one in self.advised if one[0] != body.decision]
        if isinstance(body, ProposalApproved):
            self.approved = {one: until for one, until in self.approved.items() if until > now}
            self.approved[key] = now + APPROVED_US
        else:
            self._say(key, now, REJECTED_US - REPEAT_US)

    def _say(self, key: str, now: int, longer: int = 0) -> None:
        """Remember that it was said; what may be said again for long already is no longer worth a place."""
        if key not in self.said and len(self.said) % _SWEPT == _SWEPT - 1:
            self.said = {one: at for one, at in self.said.items() if now - at < REPEAT_US}
        self.said[key] = now + longer

    def may(self, rule: str, target: str, now: int) -> bool:
        """Tell whether a person has approved this act."""
        return self.approved.get(f"{rule}/{target}", 0) > now

    def flapping(self, target: str, now: int) -> int:
        """Return how often the unit was acted on for points within half an hour."""
        return len(self._recent_acts(target, now))

    def _recent_acts(self, target: str, now: int) -> list[int]:
        return [at for at in self.acts.get(target, ()) if now - at < FLAPPING_US]

    def busy(self, target: str) -> bool:
        """Tell whether an act on the target is under way."""
        return target in self.effects

    def repeats(self, rule: str, target: str, now: int) -> bool:
        """Tell whether the same was said a short time ago."""
        at = self.said.get(f"{rule}/{target}")
        return at is not None and now - at < REPEAT_US

    def waits(self, rule: str, target: str, now: int) -> bool:
        """Tell whether the rule was put off for lack of mana and its time has not come."""
        return self.deferred.get(f"{rule}/{target}", 0) > now
