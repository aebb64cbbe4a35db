"""W3C trace context: what a `traceparent` looks like, and which trace it names."""

import re

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII | re.DOTALL)
# What a later version may append, bounded: it travels with every event of the task.
_LONGEST = 128


def traceparent(text: str, what: str = "traceparent") -> str:
    """Return a `traceparent` as it is. Raises ValueError for what W3C's trace context calls invalid."""
    found = _FORM.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        why = "got " + repr(text[:70])
    elif found[1] == "ff" or (found[1] == "00" and found[5]):
        why = f"got one of version {found[1]} that may not look like this"
    elif not found[2].strip("0") or not found[3].strip("0"):
        why = "got an id of zeros only"
    else:
        return text
    raise ValueError(f"expected {what} as 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, {why}")


def trace_id(trace: str) -> str:
    """Return the id that all parts of one trace share; empty for what is no `traceparent`."""
    if not trace:
        return ""
    try:
        return traceparent(trace)[3:35]
    except ValueError:
        return ""
