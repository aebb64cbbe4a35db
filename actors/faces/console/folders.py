"""Which data folder is meant where nobody names one."""

import re
from pathlib import Path


def usual_folder() -> Path:
    """Return the first of the usual folders that has had a node: .elf, ./forest.toml's, ./data, the example's."""
    usual = [
        Path(".elf"),
        _named_by(Path("forest.toml")),
        Path("data"),
        _named_by(Path("examples/forest.toml")),
    ]
    for folder in usual:
        if folder is not None and (folder / "node.json").exists():
            return folder
    return usual[1] or Path("data")


def _named_by(config: Path) -> Path | None:
    import tomllib

    try:
        text = config.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return None
    try:
        named = tomllib.loads(text).get("node", {}).get("data", "data")
    except (ValueError, AttributeError):
        # Somebody is at work on it; the node that runs is still where it says.
        found = re.search(r"""^\s*data\s*=\s*["']([^"']+)["']""", text, re.MULTILINE)
        named = found[1] if found else "data"
    return config.parent / str(named)
