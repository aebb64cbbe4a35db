"""One open task on its way to an agent: who was given it, who claimed it, and whose word about it counts."""

from typing import Literal

from msgspec import Struct, field

from events.tasks import FailureKind

Step = Literal["waiting", "assigned", "running", "spent"]


class Task(Struct, omit_defaults=True):
    """A task of a queue that the node serves. Times are forest microseconds, positions those of the log.

    `leases` names the agent of each assignment, "" for one that was void when it was read; `lease` is the one that
    holds now. `after` is the task's last position whoever wrote it, `claim` that of the last legitimate claim by
    `claimer`. `fence` is the lowest lease that may still claim. `avoid` failed or lost it last; `lost` is one whose
    agent went away. `attempts` are claims that count. A `spent` one has none left.
    """

    queue: str
    task: str
    kind: str = ""
    priority: str = "middle"
    complexity: int = 0
    timeout_s: float = 0.0
    submitted: int = 0
    at: int = 0
    ready: int = 0
    after: int = 0
    state: Step = "waiting"
    agent: str = ""
    lease: int = 0
    leases: list[str] = field(default_factory=list)
    fence: int = 1
    assigned_at: int = 0
    started_at: int = 0
    attempts: int = 0
    claim: int = 0
    claimer: str = ""
    claimed: int = 0
    avoid: str = ""
    lost: bool = False
    previous: str = ""
    given_up_at: int = 0
    failure: FailureKind = "error"
    error: str = ""

    @property
    def key(self) -> str:
        """Its name among all queues."""
        return f"{self.queue}/{self.task}"

    @property
    def size(self) -> str:
        """What its size is looked up by."""
        return f"{self.queue}/{self.kind}"

    @property
    def held(self) -> bool:
        """Tell whether an agent has it now."""
        return self.state == "assigned" or self.state == "running"

    def assign(self, agent: str, now: int) -> int:
        """Give it to an agent; returns the lease."""
        self.leases.append(agent)
        self.lease = len(self.leases)
        self.state, self.agent, self.assigned_at = "assigned", agent, now
        self.lost, self.previous = False, ""
        return self.lease

    def may_claim(self, agent: str, lease: int) -> str:
        """Return why this agent may not claim this lease: `foreign` or `fenced`; "" when it may.

        A late claim of an older lease that came first makes its agent the owner; a running one is taken by nobody.
        """
        if not 1 <= lease <= len(self.leases) or self.leases[lease - 1] != agent:
            return "foreign"
        if self.state == "running":
            return "" if lease == self.lease else "fenced"
        return "" if lease >= self.fence and self.state != "spent" else "fenced"

    def start(self, agent: str, lease: int, position: int, now: int) -> None:
        """Take a legitimate claim."""
        self.state, self.agent, self.lease, self.fence = "running", agent, lease, lease
        self.claim, self.claimer, self.claimed, self.started_at = position, agent, lease, now
        self.attempts += 1
        self.lost, self.previous = False, ""

    def is_owner(self, agent: str, claim: int) -> bool:
        """Tell whether this agent may end the attempt of this claim."""
        return claim > 0 and self.claim == claim and self.claimer == agent

    def close(self) -> bool:
        """End the last claim's attempt; tells whether that leaves the task with nobody."""
        self.fence = max(self.fence, self.claimed + 1)
        nobody = self.lease == self.claimed or not self.held
        self.claim, self.claimer, self.claimed = 0, "", 0
        return nobody

    def wait(self, ready: int = 0) -> None:
        """Let it wait for an agent, not before `ready`."""
        self.state, self.ready = "waiting", ready
        self.previous, self.agent = (self.agent if self.lost else ""), ""
