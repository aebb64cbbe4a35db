"""The tick: looks at every living process and every queue and writes what moved, as one event."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from actors.clock import Clock
from actors.elf import Due
from actors.executor_orders import Alive
from actors.journal import Journal
from actors.process import Sample
from actors.processes import Processes
from actors.runtime import Actor, Watcher, tell
from events.agents import AgentSample
from events.log import Receipt
from events.observations import ClockStepped, Held, HostSample, QueueSample, Sampled, Sign, UnitSample

_log = logging.getLogger("elf.sampler")

FULL_EVERY_S = 60.0
SUSPECT_TICK_S = 1.0
_BEAT_SHOWN_MS = 10_000
_QUIET_MS = 60_000
# Half of the time after which a worker is looked at, in milliseconds for each second.
_STALL_SHOWN = 500
_CPU_BAND = 30
_MEMORY_BAND = 0.02
# File descriptors and threads: by more than so many, and by more than a tenth.
_HANDLES_BAND = 5
_HOST_CPU_BAND = 100
_HOST_MEMORY_BAND = 0.05
_STEP_US = 5_000_000


class Beat(Struct):
    """What a runner says of itself every few seconds, beside the log; of a plain program that it said something."""

    unit: str
    generation: int = 0
    n: int = 0
    state: str = ""
    lasting: list[tuple[int, int, int]] = []


class Heard(Struct, frozen=True):
    """A beat came in."""

    beat: Beat


class QueuesSeen(Struct, frozen=True):
    """The server answered for all queues."""

    samples: tuple[QueueSample, ...]


class Living(Struct, frozen=True):
    """These processes live now."""

    units: dict[str, Alive]


class Begin(Struct, frozen=True):
    """Ticks may be written from now on."""


class Rest(Struct, frozen=True):
    """No tick is written any more: the node's last word is next."""


class _Timer(Struct, frozen=True):
    number: int


class Sampler(Actor):
    """Ticks every `sample_s`, every second while a unit is suspect, and at the times elves ask for."""

    def __init__(
        self,
        watcher: Watcher,
        journal: Journal,
        clock: Clock,
        processes: Processes,
        sample_s: Callable[[], float],
        task_units: Callable[[str], bool],
        ask_queues: Callable[[Callable[[tuple[QueueSample, ...]], None]], None],
        agents: Callable[[], tuple[AgentSample, ...]] = lambda: (),
        stall_s: Callable[[], float] = lambda: 30.0,
        beat_s: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        """`beat_s` is how often plain programs give a beat, those that give none left out."""
        super().__init__("sampler", watcher)
        self._journal = journal
        self._clock = clock
        self._processes = processes
        self._sample_s = sample_s
        self._is_task_unit = task_units
        self._ask_queues = ask_queues
        self._look_at_agents = agents
        self._stall_s = stall_s
        self._beat_s = beat_s
        self._zombies: dict[str, int] = {}
        self._agents_written: dict[str, AgentSample] = {}
        self._living: Mapping[str, Alive] = {}
        self._since: dict[str, tuple[int, float]] = {}
        self._beats: dict[str, tuple[Beat, float]] = {}
        self._cpu: dict[str, tuple[int, float, float]] = {}
        self._written: dict[str, UnitSample] = {}
        self._fds: dict[str, int] = {}
        self._fds_written: dict[str, int] = {}
        self._queues: dict[str, QueueSample] = {}
        self._queues_written: dict[str, QueueSample] = {}
        self._due: dict[str, int] = {}
        self._host: HostSample | None = None
        self._next = 0
        self._last_full = -FULL_EVERY_S
        self._last = (0, 0.0)
        self._running = False
        self._resting = False
        self._suspect = False

    def handle(self, message: Any) -> Any:
        """Take beats, living processes, queue states, due times and timers."""
        match message:
            case Heard(beat=beat):
                self._beats[beat.unit] = (beat, self._clock.monotonic())
            case Living(units=units):
                self._living = units
            case QueuesSeen(samples=samples):
                self._queues = {sample.queue: sample for sample in samples}
                self._tick()
            case Due(elf=elf, at=at):
                self._due[elf] = at
                if self._running:
                    self._plan()
            case "unwritten":
                # What had moved is not in the log: the next frame says everything.
                self._last_full = -FULL_EVERY_S
            case Begin():
                self._running = True
                self._look()
            case Rest():
                self._resting = True
            case _Timer(number=number):
                if number == self._next:
                    self._look()
            case _:
                return super().handle(message)
        return None

    def _look(self) -> None:
        """Ask the server for the queues; the tick follows with the answer."""
        ref = self.actor_ref
        self._ask_queues(lambda samples: _pass(ref, QueuesSeen(samples)))

    def _tick(self) -> None:
        if self._resting:
            return
        now = self._clock.monotonic()
        self._watch_clock(now)
        full = now - self._last_full >= FULL_EVERY_S
        units = self._sample(now)
        moved = tuple(sample for sample in units if full or self._moved(sample))
        queues = tuple(
            sample
            for name, sample in sorted(self._queues.items())
            if full or self._queues_written.get(name) != sample
        )
        if full:
            self._last_full = now
        self._written |= {sample.unit: sample for sample in moved}
        held = tuple(
            Held(one.unit, one.generation, self._fds[one.unit]) for one in moved if one.unit in self._fds
        )
        self._fds_written |= {one.unit: one.fds for one in held}
        self._queues_written |= {sample.queue: sample for sample in queues}
        looks = self._look_at_agents()
        agents = tuple(look for look in looks if full or self._agent_moved(look))
        self._agents_written |= {look.agent: look for look in agents}
        host = self._look_at_host(full)
        ref = self.actor_ref
        self._journal.write(
            Sampled(
                full=full,
                units=moved,
                queues=queues,
                agents=agents,
                host=host,
                signs=self._signs(now),
                held=held,
            ),
            done=lambda result: _unless_stored(ref, result),
        )
        self._suspect = any(map(_is_suspect, units)) or any(map(_is_quiet, looks))
        self._plan()

    def _agent_moved(self, look: AgentSample) -> bool:
        """Tell whether an agent looks otherwise than it was last written; long silences are told ever less often."""
        last = self._agents_written.get(look.agent)
        if last is None:
            return True
        same = (last.holds, last.connected, last.lag_ms) == (look.holds, look.connected, look.lag_ms)
        return not (
            same and _alike(last.beat_age_ms, look.beat_age_ms) and _alike(last.stall_ms, look.stall_ms)
        )

    def _look_at_host(self, full: bool) -> HostSample | None:
        """Return how the machine is if that is news."""
        host, last = self._processes.host(), self._host
        if last and not full:
            calm = abs(host.cpu - last.cpu) <= _HOST_CPU_BAND
            if calm and abs(host.memory - last.memory) <= _HOST_MEMORY_BAND * last.memory:
                return None
        self._host = host
        return host

    def _plan(self) -> None:
        """Set the one timer: the regular tick, or earlier if an elf waits for a time."""
        wait = min(SUSPECT_TICK_S, self._sample_s()) if self._suspect else self._sample_s()
        now = self._clock.now()
        for at in self._due.values():
            if at > 0:
                # A little late is right, early would be another look for nothing.
                wait = min(wait, max(0.0, (at - now) / 1e6) + 0.002)
        self._due = {elf: at for elf, at in self._due.items() if at > now}
        self._next += 1
        ref, number = self.actor_ref, self._next
        self._clock.later(wait, lambda: _pass(ref, _Timer(number)))

    def _watch_clock(self, monotonic: float) -> None:
        wall = self._clock.wall()
        last_wall, last_monotonic = self._last
        if last_wall:
            step = (wall - last_wall) - int((monotonic - last_monotonic) * 1e6)
            if abs(step) > _STEP_US:
                self._journal.write(ClockStepped(step_ms=step // 1000))
        self._last = (wall, monotonic)

    def _sample(self, now: float) -> list[UnitSample]:
        found = self._processes.samples({name: alive.identity for name, alive in self._living.items()})
        self._zombies = {name: sample.zombies for name, sample in found.items() if sample.zombies}
        self._fds = {name: sample.fds for name, sample in found.items() if sample.fds >= 0}
        beats = self._beat_s()
        return [
            self._unit(name, alive, found.get(name), now, beats.get(name, 0.0))
            for name, alive in sorted(self._living.items())
        ]

    def _unit(self, name: str, alive: Alive, sample: Sample | None, now: float, beat_s: float) -> UnitSample:
        known = self._since.get(name)
        if known is None or known[0] != alive.generation:
            self._since[name] = known = (alive.generation, now)
        beat, heard = self._beats.get(name, (None, 0.0))
        if beat is None or beat.generation != alive.generation:
            beat, heard = None, known[1]
        shown, age = _BEAT_SHOWN_MS, int((now - heard) * 1000)
        if not self._is_task_unit(name):
            shown = int(2000 * beat_s)
            if not shown:
                age = -1
            elif sample and sample.status in ("T", "t"):
                # What is stopped cannot beat: its silence begins when it goes on.
                self._beats[name], age = (Beat(unit=name, generation=alive.generation), now), 0
        return UnitSample(
            unit=name,
            generation=alive.generation,
            status=sample.status if sample else "?",
            cpu=self._cpu_share(name, alive.generation, sample, now),
            memory=sample.rss if sample else 0,
            threads=sample.threads if sample else 0,
            processes=sample.processes if sample else 0,
            in_flight=beat.n if beat else 0,
            # A young age says nothing; writing it would make every frame differ.
            beat_age_ms=age if age < 0 or age >= shown else 0,
        )

    def _signs(self, now: float) -> tuple[Sign, ...]:
        """Return what is unusual. A task that lasts is told of before anything follows from it."""
        signs = (self._sign(name, alive, now) for name, alive in sorted(self._living.items()))
        return tuple(sign for sign in signs if sign.stall_ms or sign.zombies)

    def _sign(self, name: str, alive: Alive, now: float) -> Sign:
        sign = Sign(name, alive.generation, zombies=self._zombies.get(name, 0))
        beat, heard = self._beats.get(name, (None, 0.0))
        if beat is None or beat.generation != alive.generation or not beat.lasting:
            return sign
        pid, lasted, silent = max(beat.lasting, key=lambda one: one[1])
        # A task's end is told at once, so one that lasted then lasts now.
        lasted += int((now - heard) * 1000)
        if lasted < min(_BEAT_SHOWN_MS, self._stall_s() * _STALL_SHOWN):
            return sign
        return Sign(name, alive.generation, lasted, pid, silent, sign.zombies)

    def _cpu_share(self, name: str, generation: int, sample: Sample | None, now: float) -> int:
        if sample is None:
            return 0
        last = self._cpu.get(name)
        self._cpu[name] = (generation, sample.cpu_s, now)
        if last is None or last[0] != generation or now <= last[2]:
            return 0
        return max(0, round(1000 * (sample.cpu_s - last[1]) / (now - last[2])))

    def _moved(self, sample: UnitSample) -> bool:
        """Tell whether a sample differs from the last written one by more than the dead band."""
        last = self._written.get(sample.unit)
        if last is None:
            return True
        same = (last.generation, last.status, last.in_flight, last.beat_age_ms) == (
            sample.generation,
            sample.status,
            sample.in_flight,
            sample.beat_age_ms,
        )
        calm = abs(last.cpu - sample.cpu) <= _CPU_BAND
        flat = abs(last.memory - sample.memory) <= _MEMORY_BAND * max(last.memory, 1)
        fds = self._fds.get(sample.unit, 0), self._fds_written.get(sample.unit, 0)
        steady = all(
            abs(before - now) <= max(_HANDLES_BAND, before // 10)
            for before, now in (fds, (last.threads, sample.threads))
        )
        return not (same and calm and flat and steady and last.processes == sample.processes)


def _is_suspect(sample: UnitSample) -> bool:
    return sample.status in ("T", "t", "D", "Z", "?") or sample.beat_age_ms > 0


def _is_quiet(look: AgentSample) -> bool:
    """Tell whether an agent has just gone quiet: what has been so for a minute is known by then."""
    return 0 < look.beat_age_ms < _QUIET_MS or (not look.connected and look.beat_age_ms < _QUIET_MS)


def _alike(before: int, now: int) -> bool:
    """Tell whether two ages in ms say the same: beyond two minutes a tenth more is no news."""
    return before == now or (before >= 2 * _QUIET_MS and before <= now <= before + before // 10)


def read_beat(data: bytes) -> Beat | None:
    """Read a beat; garbage is no beat."""
    try:
        return msgspec.json.decode(data, type=Beat)
    except msgspec.DecodeError:
        return None


def _unless_stored(ref: Any, result: Receipt | Exception) -> None:
    if isinstance(result, Exception):
        tell(ref, "unwritten")


def _pass(ref: Any, message: object) -> None:
    tell(ref, message)
