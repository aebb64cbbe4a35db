"""Which release this is, in a wheel and in a checkout."""

import functools
import tomllib
from importlib import metadata
from pathlib import Path


@functools.cache
def version() -> str:
    """Return the release of the code that runs: the checkout's own file wins over an installed distribution."""
    project = Path(__file__).parents[1] / "pyproject.toml"
    if project.exists():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    return metadata.version("elf-forest")
