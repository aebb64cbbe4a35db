"""A worker's own configuration that its check refuses: people are told, the last good one comes back."""

from collections.abc import Iterator
from typing import Any

from actors.elves import Draft, View
from actors.elves.alarm import Alarm, sound
from events.decisions import RepairFile
from projections.managed import FileSeen, Managed
from projections.units import SECOND, worker_of

_COST = 10


def file_care(managed: Managed, view: View) -> Iterator[Draft]:
    """Say which files are to be repaired; one that a person has just written is left to that person."""
    broken: dict[str, FileSeen] = {}
    for _, file in sorted(managed.files.items()):
        if worker_of(view.settings, file.worker) is not None and not file.ok:
            broken.setdefault(file.worker, file)
    for worker in sorted({file.worker for file in managed.files.values()}):
        found = broken.get(worker)
        facts: dict[str, Any] = {"path": found.path, "digest": found.digest} if found else {}
        if found or view.alerts.find("config_broken", worker):
            yield from sound(
                Alarm(
                    rule="config_alert",
                    cause="config_broken",
                    target=worker,
                    high=found is not None,
                    low=found is None,
                    reason="check_failed",
                    text=f"{worker}: its check refuses {found.path if found else ''}",
                    calm=f"{worker}: its check accepts its files again",
                    facts=facts,
                ),
                view,
            )
        if found is None or not found.good or found.tried == found.digest or view.standing.busy(worker):
            continue
        rests = view.timeline.now - found.changed_at >= view.settings.limits.human_edit_s * SECOND
        if rests:
            yield Draft(
                rule="config_repair",
                target=worker,
                action=RepairFile(path=found.path, digest=found.digest),
                reason="check_failed",
                text=f"{worker}: {found.path} gets back what worked last",
                inputs={**facts, "good": found.good, "changed_at": found.changed_at},
                cost=_COST,
            )
