"""The Balance elf's rules for pools of workers: their size by backlog time, the night's cap, work moved elsewhere."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from actors.elves import Draft, View
from actors.elves.scaling import (
    NIGHT_PATIENCE_S,
    Load,
    Pool,
    Wish,
    at_night,
    desired,
    enlist,
    next_count,
    retire,
    room,
)
from events.decisions import ClearAlert, Decided, RaiseAlert, ScalePool
from events.envelope import Recorded
from events.observations import HostSample, Sampled
from events.settings import WorkerSettings
from events.tasks import OF_TASKS
from events.zones import Zone, offset_at
from projections.custody import Custody
from projections.pace import Paces
from projections.queues import Queues
from projections.units import SECOND, Units, scalable, worker_of

START_COST = 4
STOP_COST = 2
ALERT_COST = 1


class PoolsState(Struct):
    """What sizes follow from; `host` is the machine at the last tick that told, `known` the queues that ticks told."""

    units: Units
    queues: Queues
    custody: Custody
    paces: Paces
    pools: dict[str, Pool] = {}
    known: dict[str, int] = {}
    host: HostSample | None = None


def blank() -> PoolsState:
    """Return the state before the first event."""
    return PoolsState(Units(), Queues(), Custody(), Paces())


def fold(state: PoolsState, event: Recorded, view: View) -> None:
    """Take one event."""
    now = view.timeline.now
    of_task = type(event.body) in OF_TASKS
    if not of_task:
        _remember(state, event, view)
    state.units.apply(event, now, view.settings)
    state.queues.apply(event, now, view.settings)
    state.custody.apply(event)
    state.paces.apply(event, now)
    if not of_task and isinstance(event.body, Sampled):
        state.host = event.body.host or state.host
        for sample in event.body.queues:
            state.known[sample.queue] = now
        _wish(state, view)


def _remember(state: PoolsState, event: Recorded, view: View) -> None:
    """Note when a pool grew, before its new size is folded."""
    match event.body:
        case Decided(action=ScalePool(pool=name, units=names), mode="act"):
            worker = worker_of(view.settings, name)
            if worker and name in state.pools and len(names) > len(state.units.wanted(worker)):
                state.pools[name].grown_at = view.timeline.now
        case _:
            return


def _wish(state: PoolsState, view: View) -> None:
    """Remember what every pool's load asks for at this tick."""
    now, limits = view.timeline.now, view.settings.limits
    for worker in view.settings.workers:
        if scalable(worker) and worker.queue in state.known:
            pool = state.pools.get(worker.name)
            if pool is None:
                pool = state.pools[worker.name] = Pool()
            wish = desired(load_of(worker, state, view), worker, limits)
            pool.note(Wish(now, wish), int(limits.scale_down_s * SECOND))


def load_of(worker: WorkerSettings, state: PoolsState, view: View) -> Load:
    """Return what lies before a pool; other pools of the same queue take their part of what comes."""
    queue = state.queues.get(worker.queue)
    pace = state.paces.get(worker.queue)
    mine = [name for name in state.units.wanted(worker) if state.units.get(name).alive]
    slots = len(mine) * worker.slots
    others = sum(
        sum(state.units.get(name).alive for name in state.units.wanted(other)) * other.slots
        for other in view.settings.workers
        if other.queue == worker.queue and other.name != worker.name
    )
    share = slots / (slots + others) if slots and others else 1.0
    busy = sum(claim.queue == worker.queue for claim in state.custody.claims.values())
    return Load(
        rate=pace.rate(view.timeline.now) * share,
        service_s=pace.service_ms / 1000,
        waiting=int(max(0, queue.backlog - busy) * share),
        busy=min(busy, slots) if others else busy,
        idle=max(0, slots - busy),
    )


def decide(state: PoolsState, view: View) -> Iterable[Draft]:
    """Say which pools should have another size."""
    held = _held(state)
    for worker in view.settings.workers:
        pool = state.pools.get(worker.name)
        if pool and pool.wishes and scalable(worker) and worker.name not in state.units.pinned:
            yield from _resize(worker, pool, held, state, view)


def minute_of_day(view: View) -> int:
    """Return the minute that the forest's clocks show; UTC where its zone is not in the log."""
    settings = view.settings
    zone = next((zone for zone in settings.zones if zone.name == settings.timezone), Zone())
    seconds = view.timeline.now // SECOND
    return (seconds + offset_at(zone, seconds)) % 86_400 // 60


def _held(state: PoolsState) -> dict[str, int]:
    held: dict[str, int] = {}
    for claim in state.custody.claims.values():
        held[claim.unit] = held.get(claim.unit, 0) + 1
    return held


def _resize(
    worker: WorkerSettings, pool: Pool, held: dict[str, int], state: PoolsState, view: View
) -> Iterable[Draft]:
    now, limits = view.timeline.now, view.settings.limits
    wanted = state.units.wanted(worker)
    wish = pool.wishes[-1].count
    low, high = len(worker.units), len(worker.names)
    load = load_of(worker, state, view)
    lifted = None
    if worker.night and at_night(minute_of_day(view), worker.night.start, worker.night.end):
        late = load.waiting * load.service_s / max(1, len(wanted) * worker.slots)
        lifted = late > NIGHT_PATIENCE_S
        if not lifted:
            high = max(0, min(high, worker.night.max))
            low = min(low, high)
    yield from _night_alert(worker, lifted, view)
    units = [state.units.get(name) for name in worker.names]
    carries = room(state.host, units, len(wanted), limits)
    if carries is not None:
        # No room for more is no reason to have fewer.
        high = min(high, max(carries, len(wanted), low))
    target = next_count(now, len(wanted), wish, pool, limits, low, high)
    if target == len(wanted):
        return
    facts: dict[str, Any] = {
        "count": len(wanted),
        "wish": wish,
        "highest": pool.highest,
        "rate": round(load.rate, 6),
        "service_s": round(load.service_s, 6),
        "waiting": load.waiting,
        "busy": load.busy,
        "low": low,
        "high": high,
    }
    if target > len(wanted):
        names = enlist(worker, wanted, target)
        text = f"{worker.name} needs {wish} processes for {load.waiting} waiting tasks: {len(wanted)} become {target}"
        yield _scale(worker, names, "backlog", text, facts, START_COST * (target - len(wanted)))
        return
    going = retire(wanted, state.units.units, held, len(wanted) - target)
    if going:
        names = tuple(name for name in wanted if name not in going)
        text = f"{worker.name} needs {pool.highest} processes at most: {len(wanted)} become {len(names)}"
        yield _scale(worker, names, "idle", text, facts | {"idle": going}, STOP_COST * len(going))


def _scale(
    worker: WorkerSettings, names: tuple[str, ...], reason: str, text: str, facts: dict[str, Any], cost: int
) -> Draft:
    action = ScalePool(pool=worker.name, units=names)
    return Draft(
        rule="scale", target=worker.name, action=action, reason=reason, text=text, inputs=facts, cost=cost
    )


def _night_alert(worker: WorkerSettings, lifted: bool | None, view: View) -> Iterable[Draft]:
    """Say that the cap for the night gave way, and when it holds again."""
    alert = view.alerts.find("night_cap", worker.name)
    if lifted and not alert:
        minutes = NIGHT_PATIENCE_S / 60
        text = f"{worker.name} has work for more than {minutes:g} minutes: the cap for the night gives way"
        raised = RaiseAlert(cause="night_cap", severity="warning")
        yield Draft(
            rule="night",
            target=worker.name,
            action=raised,
            reason="backlog",
            text=text,
            inputs={},
            cost=ALERT_COST,
        )
    elif alert and not lifted:
        text = (
            f"{worker.name} keeps to its cap for the night again" if lifted is False else "the night is over"
        )
        yield Draft(
            rule="night",
            target=worker.name,
            action=ClearAlert(cause="night_cap"),
            reason="drained",
            text=text,
            inputs={},
        )
