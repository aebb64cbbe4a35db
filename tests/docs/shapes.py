"""Compares what a command printed with what a page shows: the same words, other values."""

import re

_AROUND = "[](),;:'\""
# Of a list of times only those behind a midnight have their date.
_DAY = re.compile(r"\b\d\d-\d\d (?=\d\d:\d\d\b)")
_VALUE = re.compile(r"^(-|–|monitor|stepwise|full)$|^[(\"]*/|\d")


def shape(line: str) -> list[str]:
    """The words of a line; a path, a phase, whatever has a digit in it, and what stands for none is a value."""
    return [
        "#" if _VALUE.search(word) else word for word in _DAY.sub("", line).replace("no data", "-").split()
    ]


def matches(shown: str, said: str) -> bool:
    """Whether a printed line looks like the shown one, which may end early with `…`."""
    wanted, got = shape(shown), shape(said)
    if wanted and wanted[-1].endswith("…"):
        head, last = wanted[:-1], wanted[-1].removesuffix("…")
        return got[: len(head)] == head and (not last or " ".join(got[len(head) :]).startswith(last))
    return wanted == got


def first_missing(shown: list[str], said: list[str]) -> str:
    """The first shown line that does not appear in what was said, in this order; empty when all do. `…` is any."""
    rest = iter(said)
    for line in shown:
        if line.strip() in ("", "…"):
            continue
        if not any(matches(line, other) for other in rest):
            return line
    return ""


def learnt(shown: list[str], said: list[str]) -> dict[str, str]:
    """Names of the page (ids, processes, ports) and what they are here, of lines that match word by word."""
    names: dict[str, str] = {}
    rest = iter(said)
    for line in shown:
        if line.strip() in ("", "…"):
            continue
        other = next((other for other in rest if matches(line, other)), None)
        if other is None:
            return names
        for here, there in zip(line.split(), other.split(), strict=False):
            ours, theirs = here.strip(_AROUND).rstrip("/"), there.strip(_AROUND).rstrip("/")
            if len(ours) >= 4 and re.search(r"\d", ours) and ours != theirs:
                names[ours] = theirs
    return names
