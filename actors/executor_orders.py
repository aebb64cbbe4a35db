"""What the executor can be told, beside what it reads in the log, and whom it tells the sampler to look at."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from actors.process import Identity
from actors.worker_orders import UnitPlan
from events.settings import QueueSettings

DRAIN_CAP_S = 600.0


class TakeOver(Struct, frozen=True):
    """This node leads since the position `epoch`; what lives is to be taken over once all up to `behind` is folded."""

    epoch: int
    done: Callable[[], object]
    behind: int = 0


class Orphaned(Struct, frozen=True):
    """The units' keeper was killed and another one took its place: who lived under it is to be looked after."""


class StopAll(Struct, frozen=True):
    """End every unit in the reverse order of their dependencies; `done` is called when none is left."""

    done: Callable[[], object]


class Alive(Struct, frozen=True):
    """A living process of a unit: what there is to sample, and what it has said so far if it is a plain program."""

    generation: int
    identity: Identity
    ready: bool = False
    words: str = ""
    progress: str = ""


def drain_time(plan: UnitPlan | None, queues: Sequence[QueueSettings]) -> float:
    """Return how long to wait for a task edge: within the queue's own time-out; plain programs have none."""
    if plan is None or not plan.queue:
        return 0.0
    timeout = next((queue.timeout_s for queue in queues if queue.name == plan.queue), 0.0)
    return min(DRAIN_CAP_S, timeout)
