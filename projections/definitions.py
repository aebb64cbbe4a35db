"""What the warehouse consists of: tables and views as SQL, and digests that tell when they changed."""

import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

SCHEMA = "schema.sql"
VIEWS = ("views.sql", "views_tasks.sql", "views_decisions.sql", "views_units.sql")
FILLED_BY = "rows.py"

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
    """Return the digest over the tables and the code that fills them: when it changes, they are remade."""
    return _digest(SCHEMA, FILLED_BY)


def views_digest() -> str:
    """Return the digest over the views."""
    return _digest(SCHEMA, *VIEWS)


def _digest(*files: str) -> str:
    whole = blake2b(digest_size=16)
    for file in files:
        whole.update((_HERE / file).read_bytes() + b"\0")
    return whole.hexdigest()


def _statements(file: str) -> Iterator[tuple[str, str]]:
    """Split a file behind the lines that end in a semicolon and are no comments."""
    lines: list[str] = []
    for line in (_HERE / file).read_text(encoding="utf-8").splitlines():
        lines.append(line)
        if line.endswith(";") and not line.lstrip().startswith("--"):
            statement = "\n".join(lines).strip()
            lines.clear()
            created = _CREATES.search(statement)
            if created:
                yield created[2], statement
