"""How the node is, for those who watch over it: whether it lives, whether it does its work, and why not."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from actors.pulse import Answers

# So far may a reader of the log be behind before the node counts as catching up.
LAG = 10_000


class Vitals(Struct, frozen=True, kw_only=True):
    """A look at the node, taken without asking the bus. `lags` are positions that readers of the log are behind.

    `position` is the last one that was read, `epoch` that of the node's lease; `role` is what status says.
    """

    answers: Answers
    role: str
    position: int
    epoch: int
    written: int
    connected: bool
    ending: str
    lags: Mapping[str, int]
    disk_free: int
    disk_reserve: int

    @property
    def alive(self) -> bool:
        """Whether everybody takes its mail."""
        return not self.answers.hung

    def readiness(self) -> tuple[bool, str]:
        """Return whether the node does its work, and in words what it does instead."""
        answers, behind = self.answers, {name: lag for name, lag in self.lags.items() if lag > LAG}
        if self.ending:
            why = f"ending: {self.ending}"
        elif answers.hung:
            why = f"hanging: {', '.join(f'{name} for {age:.0f} s' for name, age in answers.hung[:5])}"
        elif not self.connected:
            why = "no connection to nats-server"
        elif self.role != "leader":
            why = self.role
        elif not answers.asked or answers.starting:
            why = f"starting: {', '.join(answers.starting[:5]) or 'the actors'}"
        elif self.position < self.epoch:
            why = f"catching up: at {self.position} of {self.epoch}"
        elif behind:
            name = max(behind, key=lambda one: behind[one])
            why = f"catching up: {name} is {behind[name]} events behind"
        else:
            return True, "leads"
        return False, why

    def health(self) -> dict[str, Any]:
        """Return what /healthz says."""
        answers = self.answers
        return {
            "alive": self.alive,
            "actors": answers.asked,
            "oldest_answer_s": round(answers.age_s, 3),
            "hung": [{"name": name, "for_s": round(age, 3)} for name, age in answers.hung],
        }

    def ready(self) -> dict[str, Any]:
        """Return what /readyz says."""
        ready, reason = self.readiness()
        worst = max(self.lags.values(), default=0)
        return {
            "ready": ready,
            "reason": reason,
            "role": self.role,
            "position": self.position,
            "behind": worst,
            "connected": self.connected,
        }


Look = Callable[[], Vitals]
