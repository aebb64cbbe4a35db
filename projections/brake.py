"""Several agents silent at once may mean that the node is: until it has examined itself, nothing is taken from them.

The examination is the next tick: that it stands in the log proves that the server answers, that it came in time proves
that the node's own loop is awake.
"""

from msgspec import Struct, field

from events.settings import Limits
from projections.units import SECOND

# A loop that is no later than this is not late.
_NOISE_MS = 500
# One of so many agents may be held to be down at a time without a question.
_PER = 3


class Brake(Struct):
    """When each agent under suspicion came under it and the last ones were held to be down. Forest microseconds."""

    suspicions: dict[str, int] = {}
    downs: dict[str, int] = {}
    probed_at: int = 0
    ticked_at: int = 0
    lags: list[tuple[int, int]] = field(default_factory=list)

    def suspected(self, agent: str, now: int) -> None:
        """Note a new suspicion; one that stands is not renewed."""
        self.suspicions.setdefault(agent, now)

    def dropped(self, agent: str) -> None:
        """Note that a suspicion came to nothing or was proven by other means."""
        self.suspicions.pop(agent, None)

    def downed(self, agent: str, now: int, limits: Limits) -> None:
        """Note that an agent was held to be down by suspicion."""
        if self.suspicions.pop(agent, None) is not None:
            horizon = now - limits.agent_cap_s * SECOND
            self.downs = {name: at for name, at in self.downs.items() if at > horizon} | {agent: now}

    def tick(self, now: int, lag_ms: int, sample_s: float, limits: Limits) -> None:
        """Take a tick: how late the loop says it is, and how late the tick itself comes."""
        if self.ticked_at:
            lag_ms = max(lag_ms, (now - self.ticked_at - int(sample_s * SECOND)) // 1000)
        self.ticked_at = now
        self.lags = [one for one in self.lags if one[0] > now - 60 * SECOND]
        if lag_ms > _NOISE_MS:
            self.lags.append((now, lag_ms))
        if lag_ms <= limits.agent_lag_ms:
            self.probed_at = now

    def restarted(self) -> None:
        """Begin anew with another node's ticks."""
        self.ticked_at = 0
        self.lags.clear()

    @property
    def lag_ms(self) -> int:
        """The longest the node was late within the last minute."""
        return max((lag for _, lag in self.lags), default=0)

    def questions(self, agent: str, agents: int, now: int, limits: Limits) -> list[str]:
        """Return with which others a suspicion may share its cause; empty when it stands alone among `agents`."""
        since = now - limits.agent_shared_s * SECOND
        cap = now - limits.agent_cap_s * SECOND
        others = {name for name, at in self.suspicions.items() if at > since}
        others |= {name for name, at in self.downs.items() if at > cap}
        others.discard(agent)
        return sorted(others) if len(others) >= max(1, agents // _PER) else []

    def capped(self, agent: str, agents: int, more: int, now: int, limits: Limits) -> bool:
        """Tell whether as many as may be are held to be down by suspicion already, `more` from now on included."""
        cap = now - limits.agent_cap_s * SECOND
        recent = [name for name, at in self.downs.items() if at > cap and name != agent]
        return len(recent) + more >= max(1, agents // _PER)

    def holds(self, agent: str, agents: int, now: int, limits: Limits) -> bool:
        """Tell whether a verdict on the agent must wait for the node's examination of itself."""
        at = self.suspicions.get(agent)
        return at is not None and self.probed_at <= at and bool(self.questions(agent, agents, now, limits))
