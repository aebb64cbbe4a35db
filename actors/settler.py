"""Puts settings in force that elves decided on, and again over a file's that was read since."""

from collections.abc import Callable

from msgspec import UNSET
from msgspec.structs import replace

from actors.elves.deliberation import digest_of
from actors.feed import Subscription
from actors.follower import Follower
from actors.journal import Journal
from actors.runtime import Watcher
from actors.snapshots import Snapshots
from events.decisions import AdoptDistribution
from events.envelope import Recorded
from events.log import entry
from events.outcomes import EffectFailed, EffectVerified
from events.settings import CanarySettings, DistributionSettings, Origin, Settings, SettingsAdopted
from projections.layers import Layers

TARGET = "distribution"


class Settler(Follower[Layers]):
    """One decision, one `settings_adopted`; said twice it changes nothing: its id comes from the decision."""

    def __init__(
        self,
        watcher: Watcher,
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
        journal: Journal,
        epoch: int,
    ) -> None:
        super().__init__("settler", watcher, subscribe, snapshots, Layers())
        self._journal = journal
        self._epoch = epoch
        self._begun: set[str] = set()

    def seen(self, event: Recorded) -> None:
        """Carry out what is open once this node leads."""
        if not self._epoch or self.position < self._epoch:
            return
        fold = self.fold
        for decision, wanted in list(fold.open.items()):
            if decision not in self._begun and fold.settings:
                self._begun.add(decision)
                self._adopt(decision, wanted, fold.settings)
        if fold.covered and fold.settings and fold.tuned is not None:
            name = f"over-{fold.covered}"
            if name not in self._begun:
                self._begun.add(name)
                self._say(name, "", "tuning", fold.settings, fold.tuned)

    def _adopt(self, decision: str, wanted: AdoptDistribution, settings: Settings) -> None:
        after = distribution_after(self.fold, wanted, decision)
        origin: Origin = "operator" if wanted.step == "withdraw" else "tuning"
        if after is None:
            told = EffectFailed(
                decision=decision, target=TARGET, error="the trial that it is about is over already"
            )
            self._journal.append([entry(self._journal.envelope(told, id=f"{decision}-not", cause=decision))])
            return
        self._say(f"{decision}-adopted", decision, origin, settings, after)
        detail = f"{after.policy} in force" + (f", {after.canary.policy} on trial" if after.canary else "")
        told_well = EffectVerified(decision=decision, target=TARGET, detail=detail)
        self._journal.append(
            [entry(self._journal.envelope(told_well, id=f"{decision}-verified", cause=decision))]
        )

    def _say(
        self, name: str, cause: str, origin: Origin, settings: Settings, after: DistributionSettings
    ) -> None:
        adopted = replace(settings, distribution=after)
        body = SettingsAdopted(
            origin=origin, digest=digest_of(adopted), settings=adopted, changed=("distribution",)
        )
        self._journal.append([entry(self._journal.envelope(body, id=name, cause=cause))])


def distribution_after(
    layers: Layers, wanted: AdoptDistribution, decision: str
) -> DistributionSettings | None:
    """Return what is in force after a decision; None when the trial that it ends is not the one under way."""
    if layers.settings is None:
        return None
    before = layers.settings.distribution
    stays = replace(before, canary=UNSET)
    if wanted.step == "withdraw":
        return replace(layers.file, canary=UNSET)
    if wanted.step == "canary":
        canary = CanarySettings(
            policy=wanted.policy,
            parameters=wanted.parameters,
            share=wanted.share,
            until=wanted.until,
            decision=decision,
            least=wanted.least,
        )
        return replace(stays, canary=canary)
    running = before.canary
    if not running or (running.policy, running.parameters) != (wanted.policy, wanted.parameters):
        return None
    if wanted.step == "rollback":
        return stays
    return replace(stays, policy=wanted.policy, parameters=wanted.parameters)
