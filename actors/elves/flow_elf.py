"""The Flow elf watches queues: what piles up, what stands still."""

from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from actors.elves import Draft, View
from actors.elves.flow_agents import watch_agents
from actors.elves.flow_cpu import abnormal_cpu
from actors.elves.flow_peers import skew, slow_peers
from actors.elves.flow_speed import drain, speed
from events.decisions import ClearAlert, RaiseAlert
from events.envelope import Recorded
from events.event import Event
from events.observations import Sampled
from projections.dispatch import Dispatch
from projections.loads import Loads
from projections.queues import Queue, Queues
from projections.streams import Streams
from projections.units import SECOND, Units

# An alert is raised at the seed's number and cleared below this share of it, so that it does not flap.
CLEAR_SHARE = 0.8
TICKS = 2
ALERT_COST = 1


class FlowState(Struct):
    """Queues, the units and agents that serve them; when agents were `looked_at`, and whether it is time to `look`."""

    queues: Queues
    units: Units
    dispatch: Dispatch = field(default_factory=Dispatch)
    streams: Streams = field(default_factory=Streams)
    looked_at: int = 0
    look: bool = False
    loads: Loads = field(default_factory=Loads)


class FlowElf:
    """Rules: `backlog` (seed: alert at 100 waiting tasks) and `jam` (work waits, workers live, nothing moves);
    `drain` (the backlog in time), `speed` (half of the usual, with the cause), `skew` and `slow_peer`. Of units: `cpu`.

    Of agents: `monitor` (load above 80, 300 s to a response, 5 % errors) and `silence`.
    """

    name = "flow"
    version = "2"
    state_type = FlowState
    triggers: tuple[type[Event], ...] = (Sampled,)

    def initial(self) -> FlowState:
        """See `Policy.initial`."""
        return FlowState(Queues(), Units())

    def fold(self, state: FlowState, event: Recorded, view: View) -> None:
        """See `Policy.fold`."""
        state.units.apply(event, view.timeline.now, view.settings)
        now = view.timeline.now
        if isinstance(event.body, Sampled):
            _count_dispatched(state)
        state.queues.apply(event, now, view.settings)
        state.dispatch.apply(event, now, view.timeline.epoch, view.settings)
        if isinstance(event.body, Sampled):
            state.look = now - state.looked_at >= view.settings.limits.monitor_s * SECOND
            if state.look:
                state.looked_at = now
        state.streams.apply(event, now, state.queues, state.units, view.settings)
        state.loads.apply(event, now, state.units, view.settings.limits)

    def decide(self, state: FlowState, view: View) -> Sequence[Draft]:
        """See `Policy.decide`."""
        drafts: list[Draft] = []
        for name in sorted(state.queues.queues):
            queue = state.queues.queues[name]
            drafts.extend(self._backlog(queue, view))
            drafts.extend(self._jam(queue, state.units, view))
            drafts.extend(drain(queue, state.streams, view))
            drafts.extend(speed(queue, state.streams, state.units, view))
            drafts.extend(skew(queue, state.streams, state.units, view))
            drafts.extend(slow_peers(queue, state.streams, state.units, view))
        drafts.extend(abnormal_cpu(state.loads, state.units, view))
        if state.look:
            drafts.extend(watch_agents(state.dispatch, view))
        return drafts

    def due(self, state: FlowState, view: View) -> int:
        """See `Policy.due`: queues are looked at with every tick."""
        return 0

    def _backlog(self, queue: Queue, view: View) -> Iterable[Draft]:
        limit = view.settings.limits.queue_backlog
        alert = view.alerts.find("backlog", queue.name)
        facts = {
            "backlog": queue.backlog,
            "pending": queue.pending,
            "in_flight": queue.in_flight,
            "limit": limit,
            "ticks": queue.over,
        }
        if queue.over >= TICKS and (
            alert is None or alert.owed(view.timeline.now, view.settings.limits.renotify_s)
        ):
            again = alert is not None
            yield Draft(
                rule="backlog",
                target=queue.name,
                action=RaiseAlert(cause="backlog", severity="warning", again=again),
                reason="backlog_still_high" if again else "backlog_high",
                text=f"{queue.name} holds {queue.backlog} tasks, the limit is {limit}",
                inputs=facts,
                cost=ALERT_COST,
            )
        elif alert and queue.backlog < limit * CLEAR_SHARE:
            yield Draft(
                rule="backlog",
                target=queue.name,
                action=ClearAlert(cause="backlog"),
                reason="backlog_low",
                text=f"{queue.name} is down to {queue.backlog} tasks",
                inputs=facts,
            )

    def _jam(self, queue: Queue, units: Units, view: View) -> Iterable[Draft]:
        """Jam: pending > 0, live workers > 0 and no progress for max(queue_jam_s, 3 x p99 of the service time)."""
        alert = view.alerts.find("jam", queue.name)
        pools = {worker.name for worker in view.settings.workers if worker.queue == queue.name}
        living = sorted(unit.name for unit in units.units.values() if unit.alive and unit.pool in pools)
        patience = max(int(view.settings.limits.queue_jam_s * SECOND), 3000 * queue.p99_ms())
        still = view.timeline.now - queue.moved_at if queue.moved_at else 0
        facts = {
            "pending": queue.pending,
            "pulls": queue.pulls,
            "living": living,
            "still_s": round(still / SECOND, 3),
            "patience_s": round(patience / SECOND, 3),
        }
        jammed = bool(queue.pending and living and still >= patience)
        if jammed and (alert is None or alert.owed(view.timeline.now, view.settings.limits.renotify_s)):
            kind = "not pulling" if queue.pulls == 0 else "pulling"
            yield Draft(
                rule="jam",
                target=queue.name,
                action=RaiseAlert(cause="jam", severity="critical", again=alert is not None),
                reason="jam_not_pulling" if queue.pulls == 0 else "jam",
                text=f"{queue.name} has not moved for {still // SECOND} s with {queue.pending} waiting"
                f" and {', '.join(living)} alive ({kind})",
                inputs=facts,
                cost=ALERT_COST,
            )
        elif alert and not jammed:
            yield Draft(
                rule="jam",
                target=queue.name,
                action=ClearAlert(cause="jam"),
                reason="moving",
                text=f"{queue.name} moves again",
                inputs=facts,
            )


def _count_dispatched(state: FlowState) -> None:
    """Tell what queues hold that the node serves itself: they have no consumer that a tick could ask."""
    for name in state.dispatch.queues:
        queue = state.queues.get(name)
        held = [task.held for task in state.dispatch.tasks.values() if task.queue == name]
        queue.in_flight = sum(held)
        queue.pending = len(held) - queue.in_flight
