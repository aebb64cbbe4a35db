"""Parameters of distribution policies: their defaults, their ranges, and what is said of one out of range."""

from collections.abc import Iterable, Mapping

from msgspec import Struct


class Parameter(Struct, frozen=True):
    """One number of a policy, from `low` to `high`; `before` was its default where `learning` is 1."""

    name: str
    default: float
    low: float
    high: float
    text: str
    before: float | None = None


def problem(policy: str, known: Iterable[Parameter], name: str, value: float) -> tuple[str, str] | None:
    """Return what was expected instead and what would do, None for a parameter in its range."""
    parameters = {item.name: item for item in known}
    item = parameters.get(name)
    if item is None:
        what = f"one of {', '.join(sorted(parameters))}" if parameters else "no parameters"
        return f"a parameter of {policy}: {what}", "leaving it out"
    if not item.low <= value <= item.high:
        return f"a number between {item.low:g} and {item.high:g}", f"{name} = {item.default:g}"
    return None


def read(
    policy: str, known: Iterable[Parameter], given: Mapping[str, float], learning: int
) -> dict[str, float]:
    """Return every parameter's value. Raises ValueError for one that is unknown or out of range."""
    known = tuple(known)
    for name, value in given.items():
        wrong = problem(policy, known, name, value)
        if wrong:
            raise ValueError(f"{name}: expected {wrong[0]}, got {value:g}; try {wrong[1]}")
    return {item.name: float(given.get(item.name, _default(item, learning))) for item in known}


def _default(item: Parameter, learning: int) -> float:
    return item.default if learning > 1 or item.before is None else item.before
