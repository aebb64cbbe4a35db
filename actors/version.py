"""Which release this is, in a wheel and in a checkout."""

import functools
import re
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


def is_newer(release: str) -> bool:
    """Tell whether a release came after this one; what names no numbers did not."""
    return _numbers(release) > _numbers(version())


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release)[:3])
