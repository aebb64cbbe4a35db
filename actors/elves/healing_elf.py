"""The Healing elf keeps every wanted unit working: starts, restarts, continues, replaces, gives up for a while."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

from msgspec import Struct, field

from actors.elves import Draft, View
from actors.elves.agent_care import agent_care, agent_times
from actors.elves.file_care import file_care
from actors.elves.handle_leak import Handles, handle_leaks
from actors.elves.leak import Leaks
from actors.elves.memory_care import hurried, leak_alarms, leaking, swollen, unquiet
from actors.elves.worker_brake import brake_alarms, braked
from actors.elves.worker_care import unresponsive, worker_alarms, worker_care
from events.agents import AgentIntentSet, AgentJoined, AgentLeft
from events.decisions import (
    ClearAlert,
    ContinueUnit,
    Decided,
    QuarantineUnit,
    RaiseAlert,
    RestartUnit,
    ScalePool,
    StartUnit,
    StopUnit,
)
from events.envelope import Recorded
from events.event import Event
from events.observations import EvidenceTaken, IntentSet, Sampled, ScaleSet, WorkerExited, WorkerReady
from events.outcomes import EffectFailed, EffectVerified, WorkerStarted
from events.settings import RestartSettings, SettingsAdopted
from events.tasks import OF_TASKS
from projections.ailments import Ailments
from projections.care import Care
from projections.health import Health
from projections.managed import Managed
from projections.suspicion import Suspicion
from projections.units import SECOND, Unit, Units, worker_of

TICKS = 2
ALERT_COST = 1
# An act on a unit that is proven not to progress disturbs nobody; one on a working unit does.
PROVEN_COST = 1
SPAWN_GAP = 1 * SECOND
BACKOFF_CAP_S = 300
JITTER = 0.2
CONTINUE_AGAIN = 600 * SECOND
QUARANTINE_S = (300, 600, 1200, 2400, 3600)


class HealingState(Struct):
    """Units and their signs. `scaled_at`: forest time of a pool's new size that no tick has followed yet."""

    units: Units
    health: Health
    scaled_at: int = 0
    care: Care = field(default_factory=Care)
    ailments: Ailments = field(default_factory=Ailments)
    suspicion: Suspicion = field(default_factory=Suspicion)
    leaks: Leaks = field(default_factory=Leaks)
    managed: Managed = field(default_factory=Managed)
    handles: Handles = field(default_factory=Handles)


class HealingElf:
    """Rules: start, stop, order, reconfigure, crash, quarantine, stopped, not_responding, not_ready, memory.

    Of workers that live and do not get on: stalled, deadlock, livelock, gil_held, blocked_io, not_pulling, zombies,
    disk_sleep, leak, handle_leak, config_repair; of all: shared_cause.

    Of agents: suspect, ping, down, recover, restart, verify, probation, promote, pause, black_hole, shared_cause.
    """

    name = "healing"
    version = "4"
    state_type = HealingState
    triggers: tuple[type[Event], ...] = (
        Sampled,
        WorkerExited,
        WorkerStarted,
        WorkerReady,
        IntentSet,
        ScaleSet,
        SettingsAdopted,
        EffectVerified,
        EffectFailed,
        EvidenceTaken,
        AgentJoined,
        AgentLeft,
        AgentIntentSet,
    )

    def initial(self) -> HealingState:
        """See `Policy.initial`."""
        return HealingState(Units(), Health())

    def fold(self, state: HealingState, event: Recorded, view: View) -> None:
        """See `Policy.fold`."""
        state.units.apply(event, view.timeline.now, view.settings)
        if type(event.body) in OF_TASKS:
            self._fold_task(state, event, view)
            return
        state.health.apply(event, view.timeline.now, state.units, view.settings)
        state.ailments.apply(event, view.timeline.now, state.units, view.settings)
        state.leaks.apply(event, view.timeline.now, state.units, view.settings)
        state.handles.apply(event, view.timeline.now, state.units, view.settings)
        state.suspicion.apply(
            event, view.timeline.now, state.units, state.health, state.ailments, view.settings
        )
        state.managed.apply(event)
        state.care.apply(event, view.timeline.now, view.timeline.epoch, view.settings)
        match event.body:
            case Decided(action=ScalePool()):
                state.scaled_at = view.timeline.now
            case Sampled():
                state.scaled_at = 0
            case _:
                return

    def _fold_task(self, state: HealingState, event: Recorded, view: View) -> None:
        """Take what is said of a task: most of the log, and the signs of units do not change by it."""
        now, epoch = view.timeline.now, view.timeline.epoch
        state.ailments.queues.apply(event, now, view.settings)
        state.leaks.growth.closed.clear()
        state.managed.position = event.position
        state.care.apply(event, now, epoch, view.settings)

    def decide(self, state: HealingState, view: View) -> Sequence[Draft]:
        """See `Policy.decide`."""
        drafts: list[Draft] = []
        for name in sorted(state.units.units):
            unit = state.units.units[name]
            drafts.extend(self._recovered(unit, state, view))
            if view.standing.busy(name):
                drafts.extend(hurried(unit, state.ailments, view))
                continue
            if unit.alive:
                drafts.extend(self._living(unit, state, view))
            elif wanted(unit, state.units, view):
                drafts.extend(self._missing(unit, state, view))
        drafts.extend(handle_leaks(state.handles, state.units, view))
        drafts = braked(drafts, state.units, state.suspicion, view)
        drafts.extend(brake_alarms(state.suspicion, state.units, view))
        drafts.extend(leak_alarms(state.leaks, state.units, view))
        drafts.extend(file_care(state.managed, view))
        drafts.extend(worker_alarms(state.units, state.ailments, view))
        drafts.extend(agent_care(state.care, view))
        return drafts

    def due(self, state: HealingState, view: View) -> int:
        """See `Policy.due`: when the next back-off or quarantine ends, or an early death becomes history."""
        now = view.timeline.now
        times = [
            start_time(unit, view)[0]
            for unit in state.units.units.values()
            if not unit.alive and wanted(unit, state.units, view) and not view.standing.busy(unit.name)
        ]
        if state.scaled_at:
            times.append(now + 1)
        times.extend(agent_times(state.care, view))
        return min((time for time in times if time > now), default=0)

    def _living(self, unit: Unit, state: HealingState, view: View) -> Iterable[Draft]:
        worker = worker_of(view.settings, unit.pool)
        signs = state.health.get(unit.name)
        facts: dict[str, Any] = {"generation": unit.generation, "pid": unit.pid}
        if not wanted(unit, state.units, view):
            scaled = worker is not None and unit.name in worker.names and unit.intent != "stop"
            reason = "scaled" if scaled else "ordered" if unit.intent == "stop" else "not_configured"
            stop = StopUnit(generation=unit.generation, drain=scaled)
            yield _draft("stop", unit, stop, reason, "is to end", facts)
        elif unit.owes_restart:
            action = RestartUnit(generation=unit.generation, drain=True)
            yield _draft("order", unit, action, "ordered", "is to be restarted", facts)
        elif worker and unit.launch != worker.launch:
            action = RestartUnit(generation=unit.generation, drain=True)
            yield _draft("reconfigure", unit, action, "configuration", "has a new configuration", facts)
        elif signs.stopped >= TICKS and unit.intent != "pause":
            yield from self._stopped(unit, state, view, facts)
        elif signs.silent >= TICKS:
            silent = unit.sample.beat_age_ms if unit.sample else 0
            text = f"has given no beat for {silent // 1000} s"
            facts |= {"beat_age_ms": silent, "ticks": signs.silent}
            ailments = state.ailments
            yield from unresponsive(
                "not_responding", unit, "no_beat", text, facts, ailments, view, evidence=True
            )
        elif signs.late >= TICKS:
            lasted = (view.timeline.now - unit.started_at) // SECOND
            text = f"has not said within {lasted} s that it is ready"
            stop = StopUnit(generation=unit.generation)
            facts |= {"ready_s": worker.ready_s if worker else 0.0, "ticks": signs.late}
            yield _draft("not_ready", unit, stop, "no_ready", text, facts, PROVEN_COST)
        elif signs.swollen:
            yield from swollen(unit, signs.swollen, state.ailments, view)
        elif leak := state.leaks.of(unit):
            yield from leaking(leak, unit, state.ailments, view)
        else:
            yield from worker_care(unit, state.ailments, view)
            yield from unquiet(unit, state.ailments, view)

    def _stopped(self, unit: Unit, state: HealingState, view: View, facts: dict[str, Any]) -> Iterable[Draft]:
        """A stopped process is continued once; if it is stopped again, somebody means it: a person is asked."""
        signs = state.health.get(unit.name)
        since = view.timeline.now - signs.continued_at if signs.continued_at else None
        facts |= {"ticks": signs.stopped, "continued_s_ago": None if since is None else since // SECOND}
        if since is None or since >= CONTINUE_AGAIN:
            action = ContinueUnit(generation=unit.generation)
            yield _draft("stopped", unit, action, "stopped", "was stopped from outside", facts, PROVEN_COST)
        elif view.alerts.find("stopped_again", unit.name) is None:
            raised = RaiseAlert(cause="stopped_again", severity="critical")
            text = "was stopped again after it had been continued: a person must look"
            yield _draft("stopped", unit, raised, "stopped_again", text, facts, ALERT_COST)

    def _missing(self, unit: Unit, state: HealingState, view: View) -> Iterable[Draft]:
        worker = worker_of(view.settings, unit.pool)
        restart = worker.restart if worker else RestartSettings()
        waiting = [] if worker is None else unready(worker.after, state.units)
        time, reason = start_time(unit, view)
        now = view.timeline.now
        facts: dict[str, Any] = {
            "generation": unit.generation,
            "code": unit.code,
            "signal": unit.signal,
            "failures": unit.failures,
        }
        if unit.error:
            facts["error"] = unit.error
        if unit.refusals:
            facts |= {"refusals": unit.refusals, "refusal": unit.refusal}
        window = int(restart.window_s * SECOND)
        recent = [at for at in unit.early_deaths if at > now - window]
        looping = len(recent) >= restart.burst or unit.quarantines > 0
        if looping and unit.failures and unit.quarantined_until <= unit.ended_at:
            yield from self._quarantine(unit, view, facts | {"early_deaths": len(recent)})
            return
        if waiting or time > now:
            return
        action = StartUnit(generation=unit.generation + 1)
        if reason == "first":
            yield _draft("start", unit, action, "wanted", "is wanted and does not run", facts)
        else:
            yield _draft("crash", unit, action, reason, f"ended: {ending(unit)}", facts)

    def _quarantine(self, unit: Unit, view: View, facts: dict[str, Any]) -> Iterable[Draft]:
        wait = QUARANTINE_S[min(unit.quarantines, len(QUARANTINE_S) - 1)]
        until = view.timeline.now + wait * SECOND
        text = f"keeps dying ({ending(unit)}); next try in {wait // 60} min"
        yield _draft("quarantine", unit, QuarantineUnit(until=until), "crash_loop", text, facts)
        if view.alerts.find("crash_loop", unit.name) is None:
            raised = RaiseAlert(cause="crash_loop", severity="critical")
            yield _draft("quarantine", unit, raised, "crash_loop", text, facts, ALERT_COST)

    def _recovered(self, unit: Unit, state: HealingState, view: View) -> Iterable[Draft]:
        facts = {"generation": unit.generation, "alive": unit.alive}
        lived = view.timeline.now - unit.started_at
        steady = unit.alive and lived >= view.settings.limits.steady_s * SECOND
        if view.alerts.find("crash_loop", unit.name) and (steady or not wanted(unit, state.units, view)):
            action = ClearAlert(cause="crash_loop")
            why, text = ("steady", "stays alive again") if steady else ("unwanted", "is not to run any more")
            yield _draft("quarantine", unit, action, why, text, facts)
        running = unit.sample is not None and unit.sample.status not in ("T", "t", "?")
        if view.alerts.find("stopped_again", unit.name) and (running or not unit.alive):
            why, text = ("running", "runs again") if unit.alive else ("ended", "is not there any more")
            yield _draft("stopped", unit, ClearAlert(cause="stopped_again"), why, text, facts)


def _draft(
    rule: str,
    unit: Unit,
    action: Any,
    reason: str,
    text: str,
    facts: dict[str, Any],
    cost: int = 0,
) -> Draft:
    return Draft(
        rule=rule,
        target=unit.name,
        action=action,
        reason=reason,
        text=f"{unit.name} {text}",
        inputs=dict(facts),
        cost=cost,
    )


def wanted(unit: Unit, units: Units, view: View) -> bool:
    """Tell whether configuration, the pool's present size and people want the unit to run."""
    worker = worker_of(view.settings, unit.pool)
    return worker is not None and unit.name in units.wanted(worker) and unit.intent != "stop"


def unready(after: Sequence[str], units: Units) -> list[str]:
    """Return the pools of `after` that have no ready unit yet."""
    ready = {unit.pool for unit in units.units.values() if unit.alive and unit.ready}
    return [pool for pool in after if pool not in ready]


def start_time(unit: Unit, view: View) -> tuple[int, str]:
    """Return when the unit may start and why then.

    A generation that was steady, or ended by our own order, starts at once; an early death waits 1, 2, 4 … s
    (at most 300, with 20 % of jitter from a hash), and so does a start that nothing came of; spawns of one unit are
    at least 1 s apart.
    """
    time, reason = _time_of_ending(unit, view)
    if unit.refusals:
        time = max(time, unit.refused_at + backoff(unit, unit.refusals))
    return time, reason


def _time_of_ending(unit: Unit, view: View) -> tuple[int, str]:
    if unit.generation == 0:
        return view.timeline.now, "first"
    if unit.quarantined_until > unit.ended_at:
        return unit.quarantined_until, "half_open"
    gap = unit.ordered_at + SPAWN_GAP
    if unit.ended_by_us or not unit.ended_at:
        return gap, "first"
    if unit.failures == 0:
        return gap, "steady"
    return max(gap, unit.ended_at + backoff(unit, unit.failures)), "backoff"


def backoff(unit: Unit, failures: int) -> int:
    """Return the wait after so many failures in microseconds: min(300 s, 2^(n-1) s), jittered by a hash of the unit."""
    seconds = min(BACKOFF_CAP_S, 2 ** (min(failures, 12) - 1))
    mark = blake2b(f"{unit.name}/{unit.generation}".encode(), digest_size=4).digest()
    share = int.from_bytes(mark, "big") / 0xFFFFFFFF
    return int(seconds * SECOND * (1 - JITTER + 2 * JITTER * share))


def ending(unit: Unit) -> str:
    """Say how the last generation ended."""
    if unit.error:
        return unit.error
    if unit.signal is not None:
        return f"killed by signal {unit.signal}"
    if unit.code is not None:
        return f"exit code {unit.code}"
    return "exit code unknown"
