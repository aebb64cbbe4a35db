"""The state of everything at a glance, folded from the log: what `elf status` shows."""

from typing import Any

from msgspec import Struct, field

from events.controls import AlertAcknowledged, AlertSilenced, ElvesPaused, ElvesResumed, ModeSet
from events.decisions import Decided
from events.envelope import Recorded
from events.outcomes import EffectFailed, EffectVerified
from events.settings import ElfSettings, Settings, SettingsAdopted, WorkerSettings
from events.tasks import TaskSubmitted
from projections.agent_rows import agent_rows
from projections.alerts import Alert, Alerts
from projections.controls import Controls
from projections.dispatch import Dispatch
from projections.doings import Deed, Doings, deed_of
from projections.health import memory_percent
from projections.mana import Mana
from projections.marks import agent_mark, queue_mark, worker_mark
from projections.queues import Queues
from projections.standing import Standing
from projections.timeline import Timeline
from projections.units import SECOND, Unit, Units, worker_of

_ACTIONS_KEPT = 20
# What gives out one task after the other must not push everything else off the list.
_ASSIGNMENTS_KEPT = 5
_WATCHED = 5
_RATE_WINDOW = 3600 * SECOND
_SLOT = 10 * SECOND


class Status(Struct):
    """A fold of the whole log into one page."""

    position: int = 0
    timeline: Timeline = field(default_factory=Timeline)
    settings: Settings = field(default_factory=lambda: Settings(node=""))
    units: Units = field(default_factory=lambda: Units({}))
    queues: Queues = field(default_factory=lambda: Queues({}))
    dispatch: Dispatch = field(default_factory=Dispatch)
    alerts: Alerts = field(default_factory=lambda: Alerts({}))
    standing: dict[str, Standing] = field(default_factory=dict)
    mana: dict[str, Mana] = field(default_factory=dict)
    actions: list[Deed] = field(default_factory=list)
    doings: Doings = field(default_factory=Doings)
    controls: Controls = field(default_factory=Controls)
    waiting: dict[str, dict[str, int]] = field(default_factory=dict)
    ends: dict[str, dict[str, int]] = field(default_factory=dict)
    arrivals: dict[str, dict[str, int]] = field(default_factory=dict)

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last, so that a fold cut short is recognised."""
        self.timeline.apply(event)
        now = self.timeline.now
        body = event.body
        if isinstance(body, SettingsAdopted):
            self.settings = body.settings
        self.units.apply(event, now, self.settings)
        self.queues.apply(event, now, self.settings)
        self.dispatch.apply(event, now, self.timeline.epoch, self.settings)
        self._count(event, now)
        self.doings.apply(event, self.timeline)
        if isinstance(body, Decided):
            self._decided(event, body, now)
        elif isinstance(body, AlertAcknowledged | AlertSilenced):
            if event.source.startswith("operator."):
                self.alerts.answer(body, now)
        elif isinstance(body, ModeSet | ElvesPaused | ElvesResumed):
            self.controls.apply(event)
        else:
            self._settled(event)
        self._flow(now)
        self.position = event.position

    def _flow(self, now: int) -> None:
        for elf in self.settings.elves:
            self.mana.setdefault(elf.name, Mana()).refill(now, elf.mana)

    def _decided(self, event: Recorded, decided: Decided, now: int) -> None:
        self.standing.setdefault(decided.elf, Standing({}, {}, {})).note(event, decided, now)
        if decided.mode == "act":
            self.mana.setdefault(decided.elf, Mana()).spend(decided.cost)
            self.alerts.apply(decided, now)
        self.actions.append(deed_of(event, decided))
        if len(self.actions) > _ACTIONS_KEPT:
            given = [at for at, deed in enumerate(self.actions) if deed.choice == "assign_task"]
            del self.actions[given[0] if len(given) > _ASSIGNMENTS_KEPT else 0]

    def _settled(self, event: Recorded) -> None:
        body = event.body
        if not isinstance(body, EffectVerified | EffectFailed):
            return
        for name, standing in self.standing.items():
            effect = standing.settle(body)
            if effect and isinstance(body, EffectVerified):
                self.mana[name].refund(effect.cost, self._elf(name).mana)

    def _count(self, event: Recorded, now: int) -> None:
        """Keep what waits with its age, and the last hour's arrivals and ends for rates."""
        body = event.body
        if isinstance(body, TaskSubmitted):
            self.waiting.setdefault(body.queue, {})[body.task] = max(event.time, body.due)
            _mark(self.arrivals.setdefault(body.queue, {}), event.time)
            return
        task = getattr(body, "task", "")
        queue = getattr(body, "queue", "")
        if not task or not queue:
            return
        if event.type in ("task_finished", "task_died", "task_cancelled", "task_moved"):
            self.waiting.get(queue, {}).pop(task, None)
        if event.type == "task_finished":
            _mark(self.ends.setdefault(queue, {}), event.time)
            _mark(self.ends.setdefault(f"unit/{getattr(body, 'unit', '')}", {}), event.time)

    def _elf(self, name: str) -> ElfSettings:
        return next((elf for elf in self.settings.elves if elf.name == name), ElfSettings(name=name))

    def page(self, now: int) -> dict[str, Any]:
        """Return the page without its `node` part; times in seconds, `now` in microseconds."""
        alarms = self._alarms()
        units = sorted(self.units.units.items())
        workers = [self._worker(unit, now, alarms) for _, unit in units]
        return {
            "workers": workers,
            "pools": [self._pool(worker) for worker in self.settings.workers],
            "agents": [
                row | {"mark": agent_mark(row["state"], alarms.get(row["name"], ()))}
                for row in agent_rows(self.dispatch, self.timeline.now)
            ],
            "queues": [
                self._queue(name, now) | {"mark": queue_mark(alarms.get(name, ()))}
                for name in sorted(self.queues.queues)
            ],
            "elves": [self._elf_row(elf, workers, now) for elf in self.settings.elves],
            "mana_total": self._mana_total(),
            "actions": [deed.row() for deed in reversed(self.actions)],
            "alerts": [self._alert(alert) for _, alert in sorted(self.alerts.open.items())],
            "proposals": self.doings.proposals(now),
            "next_reminder": self.doings.next_reminder(),
            "next_job": self.doings.next_job(),
            "paused": self.controls.paused,
        }

    def _alarms(self) -> dict[str, list[str]]:
        """Return the severities of open alerts by target."""
        found: dict[str, list[str]] = {}
        for alert in self.alerts.open.values():
            found.setdefault(alert.target, []).append(alert.severity)
        return found

    def _alert(self, alert: Alert) -> dict[str, Any]:
        silent = alert.silent_until > self.timeline.now
        return {
            "cause": alert.cause,
            "target": alert.target,
            "severity": alert.severity,
            "text": alert.text,
            "opened": alert.opened / SECOND,
            "count": alert.count,
            "acknowledged": alert.acknowledged,
            "silent_until": alert.silent_until / SECOND if silent else None,
        }

    def _pool(self, worker: WorkerSettings) -> dict[str, Any]:
        return {
            "name": worker.name,
            "queue": worker.queue,
            "wanted": len(self.units.wanted(worker)),
            "min": len(worker.units),
            "max": max(len(worker.names), len(worker.units)),
            "set": self.units.pinned.get(worker.name),
        }

    def _worker(self, unit: Unit, now: int, alarms: dict[str, list[str]]) -> dict[str, Any]:
        worker = worker_of(self.settings, unit.pool)
        sample = unit.sample
        state, percent = self._state(unit), memory_percent(unit, self.settings)
        said = {*alarms.get(unit.name, ()), *alarms.get(unit.pool, ())}
        return {
            "name": unit.name,
            "pool": unit.pool,
            "pid": unit.pid if unit.alive else None,
            "generation": unit.generation,
            "state": state,
            "mark": worker_mark(state, said, percent, self.settings.limits.memory_gc_percent),
            "cpu_percent": sample.cpu / 10 if sample else None,
            "memory_bytes": sample.memory if sample else None,
            "memory_limit_bytes": worker.memory_limit if worker and worker.memory_limit else None,
            "memory_percent": percent,
            "tasks_processed": unit.tasks_done,
            "errors": unit.tasks_failed,
            "tasks_per_hour": _since(self.ends.get(f"unit/{unit.name}"), now - _RATE_WINDOW),
            "uptime_s": (now - unit.started_at) / SECOND if unit.alive else 0.0,
            "restarts": unit.restarts,
            "words": unit.words if unit.alive else "",
            "progress": unit.progress if unit.alive else "",
        }

    def _state(self, unit: Unit) -> str:
        busy = next(
            (item.effects[unit.name] for item in self.standing.values() if item.busy(unit.name)), None
        )
        stopped = unit.sample is not None and unit.sample.status in ("T", "t")
        if unit.alive:
            if busy and busy.rule == "stop":
                return "stopping"
            if busy and unit.ended_by_us:
                return "restarting"
            if stopped:
                return "paused" if unit.intent == "pause" else "suspended"
            return "quiet" if unit.intent in ("quiet", "pause") else "running" if unit.ready else "starting"
        if busy:
            return "starting"
        if unit.intent == "stop" or not self._is_configured(unit):
            return "stopped"
        if unit.quarantined_until > self.timeline.now:
            return "quarantined"
        return "backoff" if unit.failures else "stopped"

    def _is_configured(self, unit: Unit) -> bool:
        worker = worker_of(self.settings, unit.pool)
        return worker is not None and unit.name in self.units.wanted(worker)

    def _queue(self, name: str, now: int) -> dict[str, Any]:
        queue = self.queues.queues[name]
        oldest = min(self.waiting.get(name, {}).values(), default=0)
        minute = 60 * SECOND
        pending, in_flight = queue.pending, queue.in_flight
        if name in self.dispatch.queues:
            # What the node gives out is no longer with the broker, whoever has it.
            mine = [task.held for task in self.dispatch.tasks.values() if task.queue == name]
            in_flight = sum(mine)
            pending = len(mine) - in_flight
        return {
            "name": name,
            "pending": pending,
            "in_flight": in_flight,
            "oldest_age_s": max(0.0, (now - oldest) / SECOND) if oldest else 0.0,
            "arrival_per_min": _since(self.arrivals.get(name), now - minute),
            "done_per_min": _since(self.ends.get(name), now - minute),
            "unfinished": len(self.waiting.get(name, {})),
            "submitted": queue.submitted,
            "ended": queue.ended,
        }

    def _elf_row(self, elf: ElfSettings, workers: list[dict[str, Any]], now: int) -> dict[str, Any]:
        standing = self.standing.get(elf.name)
        doing = ""
        if standing and standing.effects:
            effect = next(iter(standing.effects.values()))
            doing = f"{effect.rule} {effect.target}"
        elif elf.name == "flow":
            doing = ", ".join(
                f"{name}: {queue.backlog}" for name, queue in sorted(self.queues.queues.items())
            )
        waits = sum(until > self.timeline.now for until in standing.deferred.values()) if standing else 0
        mana = self.mana.get(elf.name)
        last = self.doings.last.get(elf.name)
        return {
            "name": elf.name,
            "mode": self.controls.of(elf),
            "rules": self.controls.rules(elf),
            "set": self.controls.modes.get(elf.name),
            "mana": mana.level if mana else elf.mana.start,
            "doing": doing,
            "deferred": waits,
            "capacity": elf.mana.capacity,
            "last": last.row() if last else None,
            "next": (self.doings.next_reminder() or self.doings.next_job()) if elf.name == "time" else None,
            "watching": _ailing(workers) if elf.name == "healing" else [],
            "proposals": sum(one.deed.elf == elf.name for one in self.doings.open(now)),
        }

    def _mana_total(self) -> int:
        """The rounded mean of the elves' levels."""
        levels = [self.mana[elf.name].level for elf in self.settings.elves if elf.name in self.mana]
        return round(sum(levels) / len(levels)) if levels else 0


def _ailing(workers: list[dict[str, Any]]) -> list[str]:
    """Return the first of those that somebody should look at."""
    return [row["name"] for row in workers if row["mark"] in ("warning", "bad")][:_WATCHED]


def _mark(counts: dict[str, int], at: int) -> None:
    """Count in slots of ten seconds and forget what is older than the window: constant memory at any rate."""
    slot = at // _SLOT
    key = str(slot)
    if key in counts:
        counts[key] += 1
        return
    counts[key] = 1
    for old in [old for old in counts if int(old) < slot - _RATE_WINDOW // _SLOT]:
        del counts[old]


def _since(counts: dict[str, int] | None, start: int) -> int:
    """Sum the slots that end after `start`."""
    return sum(count for slot, count in (counts or {}).items() if (int(slot) + 1) * _SLOT > start)
