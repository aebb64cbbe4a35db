"""Times as people write them: a delay, or a moment."""

import re
import time
from datetime import datetime, timedelta

from actors.faces.console.failure import Failure

_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DELAY = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)")
_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")


def due_of(delay: str, at: str) -> int:
    """Return when a task is due, in microseconds since 1970; 0 when neither is given. Raises Failure."""
    if delay and at:
        raise Failure("expected one of --delay and --at, got both")
    if delay:
        return time.time_ns() // 1000 + int(delay_s(delay) * 1e6)
    return _moment(at) if at else 0


def delay_s(text: str) -> float:
    """Read 10, 10s, 1.5m, 2h or 3d, in seconds. Raises Failure."""
    found = _DELAY.fullmatch(text.strip())
    if not found:
        raise Failure(f"expected a delay like 10s, 5m, 2h or 1d, got {text!r}")
    return float(found[1]) * _SECONDS[found[2]]


def _moment(text: str) -> int:
    """Read a time of the day, the next one to come, or a date with a time; local unless it names its zone."""
    now = datetime.now().astimezone()
    try:
        if _OF_DAY.fullmatch(text):
            hour, minute, *second = (int(part) for part in text.split(":"))
            moment = now.replace(hour=hour, minute=minute, second=second[0] if second else 0, microsecond=0)
            moment += timedelta(days=moment <= now)
        else:
            moment = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise Failure(f"expected a time like 18:30 or 2027-01-31T18:30, got {text!r}") from None
    if moment <= now:
        raise Failure(f"expected a time to come, got {text}; it is {now:%Y-%m-%d %H:%M:%S} now")
    return int(moment.timestamp() * 1e6)
