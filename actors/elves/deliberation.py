"""From drafts to decisions: modes, mana, repetition and numbering. The same code runs live and in replay."""

from hashlib import blake2b
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from actors.elves import Draft, Policy, View
from actors.elves.price import priced
from events.codec import canonical
from events.controls import AlertAcknowledged, AlertSilenced, ElvesPaused, ElvesResumed, ModeSet
from events.decisions import ClearAlert, Decided, Defer, Mode
from events.envelope import Recorded
from events.outcomes import EffectFailed, EffectVerified
from events.proposals import ProposalApproved, ProposalRejected
from events.settings import ElfSettings, Settings, SettingsAdopted
from projections.alerts import Alerts
from projections.mana import Mana
from projections.standing import Standing
from projections.timeline import Timeline

S = TypeVar("S", bound=Struct)

# The last points are kept for emergencies.
RESERVE = 20
# Most events are those of tasks and are none of these.
_CONCERNING = frozenset(
    {
        SettingsAdopted,
        Decided,
        EffectVerified,
        EffectFailed,
        ProposalApproved,
        ProposalRejected,
        ModeSet,
        ElvesPaused,
        ElvesResumed,
        AlertAcknowledged,
        AlertSilenced,
    }
)
# After these words of a person every elf looks up, whatever else it looks up at.
_CONTROLS = frozenset({ModeSet, ElvesPaused, ElvesResumed})


class Mind(Struct, Generic[S]):
    """Everything an elf knows, as of one position."""

    view: View
    mana: Mana
    settings_digest: str
    own: S


def new_mind(policy: Policy[S]) -> Mind[S]:
    """Return the mind before the first event."""
    view = View(Timeline(), Settings(node=""), Alerts(), Standing())
    return Mind(view, Mana(), "", policy.initial())


def fold(policy: Policy[S], mind: Mind[S], event: Recorded) -> None:
    """Take one event into the mind."""
    timeline = mind.view.timeline
    before = timeline.now
    timeline.apply(event)
    if type(event.body) in _CONCERNING:
        _take(policy, mind, event)
    if mind.settings_digest and (timeline.now != before or mind.mana.units < 0):
        # Not before settings: the first level is what they say.
        mind.mana.refill(timeline.now, elf_settings(mind.view.settings, policy.name).mana)
    policy.fold(mind.own, event, mind.view)


def _take(policy: Policy[S], mind: Mind[S], event: Recorded) -> None:
    """Fold what every elf keeps: settings, its own decisions, what came of them, what people answered."""
    view, body = mind.view, event.body
    now = view.timeline.now
    match body:
        case SettingsAdopted(settings=settings, digest=digest):
            view.settings = settings
            mind.settings_digest = digest
        case Decided(elf=elf, epoch=epoch) if elf == policy.name and epoch == view.timeline.epoch:
            view.standing.note(event, body, now)
            if body.mode == "act":
                mind.mana.spend(body.cost)
                view.alerts.apply(body, now)
        case EffectVerified() | EffectFailed():
            effect = view.standing.settle(body)
            if effect and isinstance(body, EffectVerified):
                mind.mana.refund(effect.cost, elf_settings(view.settings, policy.name).mana)
        case ProposalApproved() | ProposalRejected() if event.source.startswith("operator."):
            view.standing.answer(body, now)
        case AlertAcknowledged() | AlertSilenced() if event.source.startswith("operator."):
            view.alerts.answer(body, now)
        case ModeSet() | ElvesPaused() | ElvesResumed():
            view.controls.apply(event)
        case _:
            return


def deliberate(policy: Policy[S], mind: Mind[S], trigger: int) -> list[Decided]:
    """Ask the policy and number its decisions as of the mind's position; none while the node ends or stands by."""
    if mind.view.timeline.stopping or mind.view.timeline.full:
        return []
    drafts = policy.decide(mind.own, mind.view)
    if not drafts:
        return []
    elf = elf_settings(mind.view.settings, policy.name)
    kept: list[tuple[Draft, Mode]] = []
    left = Mana(mind.mana.units, mind.mana.at_ms)
    for draft in drafts:
        chosen = _admit(priced(draft, mind.view), elf, mind, left)
        if chosen is not None:
            kept.append(chosen)
    return [
        _number(policy, mind, draft, mode, trigger, ordinal, len(kept))
        for ordinal, (draft, mode) in enumerate(kept)
    ]


def _admit(draft: Draft, elf: ElfSettings, mind: Mind[S], left: Mana) -> tuple[Draft, Mode] | None:
    """Apply repetition, mode and mana to one draft; None when there is nothing new to say."""
    now = mind.view.timeline.now
    standing = mind.view.standing
    mode = mind.view.controls.mode(elf, draft.rule, draft.advice)
    if mode == "advise" and standing.may(draft.rule, draft.target, now):
        # A person said yes to this very advice; it is decided anew on what is true now.
        mode = "act"
    if mode != "act":
        return None if standing.repeats(draft.rule, draft.target, now) else (draft, mode)
    if isinstance(draft.action, ClearAlert) or draft.cost == 0:
        return draft, mode
    reserve = 0 if draft.urgent else RESERVE
    if left.level - reserve >= draft.cost:
        left.spend(draft.cost)
        return draft, mode
    if standing.waits(draft.rule, draft.target, now):
        return None
    return _deferred(draft, left.affordable_at(draft.cost, reserve, elf.mana), left.level), mode


def _deferred(draft: Draft, until: int, level: int) -> Draft:
    wanted = str(draft.action.__struct_config__.tag)
    return Draft(
        rule=draft.rule,
        target=draft.target,
        action=Defer(wanted=wanted, until=until),
        reason="mana",
        text=f"{wanted} put off: {draft.cost} points of mana needed, {level} there; {draft.text}",
        inputs={**draft.inputs, "mana": level, "cost": draft.cost},
    )


def _number(
    policy: Policy[S], mind: Mind[S], draft: Draft, mode: Mode, trigger: int, ordinal: int, size: int
) -> Decided:
    timeline = mind.view.timeline
    return Decided(
        elf=policy.name,
        rule=draft.rule,
        target=draft.target,
        action=draft.action,
        reason=draft.reason,
        text=draft.text,
        trigger=trigger,
        as_of=timeline.position,
        epoch=timeline.epoch,
        ordinal=ordinal,
        size=size,
        policy=policy.name,
        version=policy.version,
        settings=mind.settings_digest,
        inputs=draft.inputs,
        inputs_digest=digest_of(draft.inputs),
        candidates=draft.candidates,
        mode=mode,
        cost=draft.cost if mode == "act" else 0,
    )


def decision_id(decided: Decided) -> str:
    """Return the id that this decision has wherever and whenever it is made."""
    text = f"{decided.epoch}/{decided.elf}/{decided.as_of}/{decided.ordinal}"
    return "d" + blake2b(text.encode(), digest_size=10).hexdigest()


def digest_of(value: object) -> str:
    """Return a short digest of a value's canonical JSON."""
    return blake2b(canonical(value), digest_size=8).hexdigest()


def elf_settings(settings: Settings, name: str) -> ElfSettings:
    """Return an elf's settings, the defaults where none are adopted."""
    for elf in settings.elves:
        if elf.name == name:
            return elf
    return ElfSettings(name=name)


def encode_mind(mind: Mind[Any]) -> bytes:
    """Return a mind as canonical bytes, for snapshots and digests."""
    return canonical(mind)


def decode_mind(policy: Policy[S], data: bytes) -> Mind[S]:
    """Read a snapshot. Raises `msgspec.DecodeError` when it is another release's."""
    mind: Mind[S] = msgspec.json.decode(data, type=Mind[policy.state_type])  # type: ignore[name-defined]
    return mind


def is_trigger(policy: Policy[Any], event: Recorded) -> bool:
    """Tell whether the elf looks up at this event."""
    return type(event.body) in policy.triggers or type(event.body) in _CONTROLS


def due_of(policy: Policy[S], mind: Mind[S]) -> int:
    """Return the forest time at which this elf must look again, its deferrals included; 0 for never."""
    now = mind.view.timeline.now
    times = [policy.due(mind.own, mind.view), *mind.view.standing.deferred.values()]
    return min((time for time in times if time > now), default=0)
