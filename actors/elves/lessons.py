"""A lesson that the log teaches, or how much is missing before it could be drawn: too little claims nothing."""

from typing import Any

from msgspec import Struct


class Lesson(Struct, frozen=True, kw_only=True):
    """What could be proposed; `change` names what would be set."""

    key: str
    claim: str
    gain: str
    low: float
    high: float
    n: int
    sql: str
    risk: str
    rollback: str
    change: dict[str, Any]


class Missing(Struct, frozen=True):
    """Too little is known: so many of so many cases."""

    have: int
    need: int
    what: str


def sql(text: str, **names: str | int) -> str:
    """Return a statement with each `$name` written as SQL writes that text or number."""
    for name, value in names.items():
        written = str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
        text = text.replace(f"${name}", written)
    return text
