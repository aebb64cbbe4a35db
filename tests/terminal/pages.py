"""Pages of status as a node says them, with as many workers as a test wants."""

from typing import Any

from events.settings import ElfSettings
from projections.status import Status
from tests.replay import Forest, queue, settings, unit

ELVES = ("flow", "time", "balance", "healing", "wisdom")


def recorded(workers: int = 4, **changes: Any) -> dict[str, Any]:
    """Return the page of a forest that is led, has started its workers and looked twice."""
    forest = Forest()
    forest.lead(settings(elves=tuple(ElfSettings(name=name) for name in ELVES)))
    forest.obey()
    forest.tick([unit("a")], [queue(120)])
    forest.tick([unit("a", memory=850)], [queue(150)])
    forest.land()
    status = Status()
    for event in forest.log.events:
        status.apply(event)
    page = status.page(forest.now)
    row = page["workers"][1] | {"state": "running", "mark": "fine"}
    page["workers"] = [row | {"name": f"worker-{number:03}"} for number in range(workers)]
    node = {"id": "forest", "role": "leader", "position": status.position}
    return {"node": node, **page, **changes}
