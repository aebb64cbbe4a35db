"""Writing answers: tables for people, JSON for scripts, progress on stderr."""

import os
import sys
import time
import unicodedata
from collections.abc import Sequence

import msgspec


def show_json(value: object) -> None:
    """Print one JSON value: indented on a terminal, on one line in a pipe."""
    data = msgspec.json.encode(value)
    if sys.stdout.isatty():
        data = msgspec.json.format(data)
    sys.stdout.write(data.decode() + "\n")


def show_table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[int] = ()
) -> None:
    """Print rows in columns; `numbers` are the columns that align to the right."""
    cells = [[_text(value) for value in row] for row in rows]
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        _show_rich(headings, cells, numbers)
        return
    lines = [list(headings), *cells]
    widths = [max(width(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        cut = [padded(text, widths[at], at in numbers) for at, text in enumerate(line)]
        print("  ".join(cut).rstrip())


def _show_rich(headings: Sequence[str], cells: Sequence[Sequence[str]], numbers: Sequence[int]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for at, heading in enumerate(headings):
        table.add_column(heading, justify="right" if at in numbers else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(text) for text in row))
    Console().print(table)


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes; Japanese letters take two."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def padded(text: str, wanted: int, right: bool = False) -> str:
    """Return a text with as many blanks as its column of a terminal wants."""
    gap = " " * (wanted - width(text))
    return gap + text if right else text + gap


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, str):
        return plain(value)
    return str(value)


def plain(text: str) -> str:
    """Take out of a text whatever could steer a terminal or turn the direction of writing."""
    return text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)


def size(value: float | None) -> str:
    """Spell bytes for people."""
    if value is None:
        return "-"
    number = float(value)
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def span(seconds: float | None) -> str:
    """Spell a duration for people."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f}s" if whole < 10 and seconds % 1 else f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


def clock(value: object) -> str:
    """Spell a time of the log (microseconds, or the text of a TIMESTAMP) in the local zone."""
    from datetime import UTC, datetime

    if isinstance(value, int):
        moment = datetime.fromtimestamp(value / 1e6, UTC)
    elif isinstance(value, str) and value:
        moment = datetime.fromisoformat(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    elif isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    else:
        return "-"
    local = moment.astimezone()
    today = local.date() == datetime.now(local.tzinfo).date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S") + f".{local.microsecond // 1000:03}"


def note(text: str) -> None:
    """Say something beside the answer, on stderr."""
    print(text, file=sys.stderr)


class Progress:
    """A counter on stderr for what lasts over two seconds; silent when nobody watches."""

    def __init__(self, what: str, total: int = 0) -> None:
        self.what = what
        self.total = total
        self._begin = time.monotonic()
        self._shown = 0.0
        self._watched = sys.stderr.isatty()

    def at(self, done: int) -> None:
        """Show how far it is, at most ten times a second."""
        now = time.monotonic()
        if not self._watched or now - self._begin < 2 or now - self._shown < 0.1:
            return
        self._shown = now
        share = f" of {self.total:,} ({done * 100 // self.total} %)" if self.total else ""
        sys.stderr.write(f"\r{self.what}: {done:,}{share}\x1b[K")
        sys.stderr.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
