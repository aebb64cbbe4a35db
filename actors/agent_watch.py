"""The node's eye on its agents: their beats, whether the server still has their connection, how late we are."""

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct
from nats.errors import NoRespondersError

from actors.agent_words import AgentBeat, Order, read_agent_beat
from actors.bus import Bus
from events.agents import AgentSample

_log = logging.getLogger("elf.agents")

LOOK_S = 1.0
# What an agent sends that is no beat is said once in so many seconds.
_SAY_AGAIN_S = 60.0
_HERE_S = 1.0


class _Sign(Struct):
    """What is known of one agent's program. Times are those of the loop."""

    run: str
    since: float
    heard: float = 0.0
    beat: AgentBeat | None = None
    connected: bool = True
    asking: bool = False


class AgentWatch:
    """Lives on the bus; `expect` and `samples` may be called from any thread."""

    def __init__(self, bus: Bus, beat_s: Callable[[], float], clock: Callable[[], float]) -> None:
        self._bus = bus
        self._beat_s = beat_s
        self._clock = clock
        self._signs: Mapping[str, _Sign] = {}
        self._said: dict[str, float] = {}
        self.garbage = 0
        self._lag = 0.0
        self._due = 0.0

    def start(self) -> None:
        """Begin to look after them."""
        self._due = self._clock() + LOOK_S
        self._bus.later(LOOK_S, self._look)

    def expect(self, runs: Mapping[str, str]) -> None:
        """Listen to these agents in these runs, and to nobody else."""
        now = self._clock()
        before = self._signs
        self._signs = {
            name: known if (known := before.get(name)) and known.run == run else _Sign(run, now)
            for name, run in runs.items()
        }

    def heard(self, subject: str, data: bytes) -> None:
        """Take a beat; garbage is counted and says nothing of its agent."""
        beat = read_agent_beat(subject, data)
        if isinstance(beat, str):
            self._garbage(subject, beat)
            return
        sign = self._signs.get(beat.agent)
        if sign is not None and sign.run == beat.run:
            sign.beat, sign.heard, sign.connected = beat, self._clock(), True

    def beat(self, name: str) -> AgentBeat | None:
        """Return an agent's last beat."""
        sign = self._signs.get(name)
        return sign.beat if sign else None

    def samples(self) -> tuple[AgentSample, ...]:
        """Return how each agent looks now; how late we were since the last time is told along."""
        now = self._clock()
        lag, self._lag = max(self._lag, now - self._due), 0.0
        if not self._signs:
            return ()
        young = 2 * self._beat_s()
        return tuple(_sample(name, sign, now, young, lag) for name, sign in sorted(self._signs.items()))

    def _garbage(self, subject: str, why: str) -> None:
        self.garbage += 1
        now = self._clock()
        if now - self._said.get(subject, -_SAY_AGAIN_S) >= _SAY_AGAIN_S:
            self._said[subject] = now
            _log.warning("%s; it counts as no beat", why)

    def _look(self) -> None:
        """Measure how late this loop is, and ask the server whether everybody is still connected."""
        now = self._clock()
        self._lag = max(self._lag, now - self._due)
        self._due = now + LOOK_S
        self._bus.later(LOOK_S, self._look)
        for name, sign in self._signs.items():
            if not sign.asking and sign.connected:
                sign.asking = True
                self._bus.spawn(lambda name=name, sign=sign: self._ask(name, sign))  # type: ignore[misc]

    async def _ask(self, name: str, sign: _Sign) -> None:
        """A server without a connection of the agent says so at once; an answer of the agent is not waited for."""
        before = sign.heard
        try:
            order = msgspec.json.encode(Order(do="here"))
            await self._bus.connection.client.request(f"agent.{name}.here", order, timeout=_HERE_S)
        except NoRespondersError:
            if sign.heard == before:
                sign.connected = False
        except (TimeoutError, asyncio.CancelledError, OSError):
            pass
        finally:
            sign.asking = False


def _sample(name: str, sign: _Sign, now: float, young: float, lag: float) -> AgentSample:
    """Round what is ordinary, so that it need not be written again and again."""
    age = now - max(sign.heard, sign.since)
    beat = sign.beat
    still = max((one.still_ms / 1000 for one in beat.tasks if one.process), default=-1.0) if beat else -1.0
    stall = still + (now - sign.heard) if still >= 0 else -1.0
    return AgentSample(
        agent=name,
        beat_age_ms=round(age * 1000) if age > young else 0,
        holds=beat.holds if beat else 0,
        stall_ms=-1 if stall < 0 else round(stall * 1000) if stall > 2 * young else 0,
        connected=sign.connected,
        lag_ms=round(lag * 1000) if lag > 0.25 else 0,
    )
