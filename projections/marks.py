"""One mark for each worker and agent: whether somebody should look."""

from collections.abc import Collection
from typing import Literal

Mark = Literal["fine", "warning", "bad", "busy", "off"]
"""Works; works, but look; does not work though it should; on its way; off by somebody's word."""

_WORKERS: dict[str, Mark] = {
    "running": "fine",
    "starting": "busy",
    "stopping": "busy",
    "restarting": "busy",
    "stopped": "off",
    "quiet": "off",
    "paused": "off",
    "suspended": "bad",
    "backoff": "bad",
    "quarantined": "bad",
}
_AGENTS: dict[str, Mark] = {
    "alive": "fine",
    "suspect": "warning",
    "probing": "warning",
    "recovering": "warning",
    "probation": "warning",
    "down": "bad",
}


def worker_mark(state: str, severities: Collection[str], percent: float | None, limit: float) -> Mark:
    """Mark a worker by its state, the severities of its open alerts, its memory in percent and when that is much."""
    mark = _WORKERS.get(state, "warning")
    if mark != "fine":
        return mark
    return _alarmed(severities) or ("warning" if percent is not None and percent >= limit else "fine")


def agent_mark(state: str, severities: Collection[str]) -> Mark:
    """Mark an agent by its state and the severities of its open alerts."""
    mark = _AGENTS.get(state, "off")
    return mark if mark in ("bad", "off") else _alarmed(severities) or mark


def queue_mark(severities: Collection[str]) -> Mark:
    """Mark a queue by the severities of its open alerts."""
    return _alarmed(severities) or "fine"


def _alarmed(severities: Collection[str]) -> Mark | None:
    if "critical" in severities:
        return "bad"
    return "warning" if any(one != "info" for one in severities) else None
