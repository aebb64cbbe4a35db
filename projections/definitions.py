"""What the warehouse consists of: tables and views as SQL, and digests that tell when they changed."""

import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from events.codec import CATALOGUE
from events.upcasters import UPCASTERS

SCHEMA = "schema.sql"
VIEWS = (
    "views.sql",
    "views_tasks.sql",
    "views_decisions.sql",
    "views_units.sql",
    "views_agents.sql",
    "views_kpi.sql",
    "views_proposals.sql",
    "views_learning.sql",
)
FILLED_BY = (
    "rows.py",
    "row_writers.py",
    "columns.py",
    "facts.py",
    "task_book.py",
    "rates.py",
    "days.py",
    "agents.py",
    "mana.py",
    "standing.py",
)

_HERE = Path(__file__).parent
_CREATES = re.compile(r"^CREATE (TABLE|VIEW) (\w+)", re.MULTILINE)


def tables() -> dict[str, str]:
    """Return the statement that creates each table."""
    return dict(_statements(SCHEMA))


def views() -> dict[str, str]:
    """Return the statement that creates each view, in an order in which they can be created."""
    return {name: statement for file in VIEWS for name, statement in _statements(file)}


def questions() -> dict[str, str]:
    """Return the comment above each table and view: what it answers."""
    found = {}
    for file in (SCHEMA, *VIEWS):
        for name, statement in _statements(file):
            above = statement[: _CREATES.search(statement).start()].rstrip()  # type: ignore[union-attr]
            lines = above.rsplit("\n\n", 1)[-1].splitlines()
            found[name] = " ".join(line.removeprefix("--").strip() for line in lines)
    return found


def tables_digest() -> str:
    """Return the digest over the tables, what fills them and what is read: when it changes, they are remade."""
    events = " ".join(
        f"{kind.__struct_config__.tag}({','.join(kind.__struct_fields__)})" for kind in CATALOGUE
    )
    lifted = " ".join(f"{tag}@{version}" for tag, version in sorted(UPCASTERS))
    return _digest(_read(SCHEMA), *map(_read, FILLED_BY), f"{events} {lifted}".strip().encode())


def views_digest() -> str:
    """Return the digest over the views."""
    return _digest(_read(SCHEMA), *map(_read, VIEWS))


def _read(file: str) -> bytes:
    return (_HERE / file).read_bytes()


def _digest(*parts: bytes) -> str:
    whole = blake2b(digest_size=16)
    for part in parts:
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()


def _statements(file: str) -> Iterator[tuple[str, str]]:
    """Split a file behind the lines that end in a semicolon and are no comments."""
    lines: list[str] = []
    for line in _read(file).decode().splitlines():
        lines.append(line)
        if line.endswith(";") and not line.lstrip().startswith("--"):
            statement = "\n".join(lines).strip()
            lines.clear()
            created = _CREATES.search(statement)
            if created:
                yield created[2], statement
