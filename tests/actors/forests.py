"""Texts of forest.toml that the tests of its reader share."""

from pathlib import Path

from actors.config import Forest
from actors.config_reader import read_forest

GOOD = """
[node]
name = "n1"
[[queue]]
name = "q1"
[[queue]]
name = "q2"
serve = "dispatch"
[[worker]]
name = "a"
queue = "q1"
call = "pkg.mod:run"
[[worker]]
name = "b"
command = ["python3", "-V"]
after = ["a"]
"""
A = "[[queue]]\nname = 'q'\n[[worker]]\nname = 'a'\nqueue = 'q'\ncall = 'm:f'\n"
B = "[[worker]]\nname = 'b'\ncommand = ['true']\n"


def forest_of(folder: Path, text: str, environ: dict[str, str] | None = None) -> Forest:
    """Write the text into the folder and read it."""
    path = folder / "forest.toml"
    path.write_text(text, encoding="utf-8")
    return read_forest(path, environ)
