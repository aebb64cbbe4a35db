"""What an elf has decided and has not seen the end of: no second act on a target before the first is settled."""

from msgspec import Struct

from events.decisions import Decided, Defer
from events.envelope import Recorded
from events.outcomes import EffectFailed, EffectVerified

# The same advice, observation or deferral is not written again within this time (seed: one alert per 15 minutes).
REPEAT_US = 900_000_000


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
    """Open effects by target, and when what else was said last by `rule/target`."""

    effects: dict[str, Effect] = {}
    said: dict[str, int] = {}
    deferred: dict[str, int] = {}

    def note(self, event: Recorded, decided: Decided, now: int) -> None:
        """Fold one of the elf's own decisions."""
        key = f"{decided.rule}/{decided.target}"
        if decided.mode != "act":
            self.said[key] = now
            return
        action = decided.action
        if isinstance(action, Defer):
            self.deferred[key] = action.until
            return
        self.deferred.pop(key, None)
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
