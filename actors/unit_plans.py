"""How a unit is launched and stopped by the configuration."""

import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from actors.config import Forest
from actors.connection import Credentials
from actors.log_parts import fresh
from actors.notify_pipes import make_pipe
from actors.units import Launch, launch_of
from actors.worker_orders import UnitPlan


def plan_of(forest: Forest, unit: str, data: Path, credentials: Mapping[str, Credentials]) -> UnitPlan | None:
    """Return a unit's plan, None when the forest has no such unit. `credentials` are those of all roles."""
    try:
        worker = forest.worker_of(unit)
    except LookupError:
        return None
    return UnitPlan(
        unit=unit,
        pool=worker.name,
        queue=worker.queue,
        stop_signal=signal.Signals[f"SIG{worker.stop_signal}"],
        stop_wait_s=worker.stop_wait_s,
        launch=_launch(forest, unit, worker.user, data),
        # A runner's own, handed to it through a pipe.
        secret=msgspec.json.encode(credentials[f"worker-{worker.name}"]).decode() if worker.queue else None,
    )


def _launch(forest: Forest, unit: str, user: str, data: Path) -> Callable[[int, str], Launch]:
    def launch(generation: int, marker: str) -> Launch:
        order = launch_of(forest, unit, generation=generation, marker=marker, data=data)
        fresh(Path(order.log), forest.node.log_keep)
        if order.notify:
            make_pipe(Path(order.notify), user)
        return order

    return launch
