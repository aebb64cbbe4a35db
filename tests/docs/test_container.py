"""The Dockerfile of the docs takes steps that exist: no container runtime is here to build it."""

import json
import re

from tests.docs.pages import ROOT, blocks
from tests.faces.test_help import ALL, options

(FILE,) = (block.text for block in blocks("docs/docker.md") if block.kind == "dockerfile")
LINES = [(word, rest) for word, _, rest in (line.partition(" ") for line in FILE.split("\n"))]
KNOWN = set("FROM RUN WORKDIR COPY USER ENV VOLUME STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD".split())


def test_instructions_are_known_and_the_steps_are_those_of_a_checkout() -> None:
    assert {word for word, _ in LINES} <= KNOWN
    runs = [rest for word, rest in LINES if word == "RUN"]
    targets = re.findall(r"(?:^|[&;] )make (\w+)", "\n".join(runs), re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets == ["setup"]
    assert re.search(r"^setup:", makefile, re.MULTILINE)
    python = next(rest for word, rest in LINES if word == "FROM").partition(":")[2].partition("-")[0]
    assert tuple(map(int, python.split("."))) >= (3, 11)
    assert f"Python :: {python}" in (ROOT / "pyproject.toml").read_text()


def test_it_runs_as_nobody_special_and_starts_what_the_command_line_knows() -> None:
    order = [word for word, _ in LINES]
    assert order.index("USER") > max(at for at, word in enumerate(order) if word == "RUN")
    said = dict(LINES)
    assert said["USER"] not in ("root", "0")
    assert json.loads(said["ENTRYPOINT"]) == ["elf"]
    for words in (json.loads(said["CMD"]), json.loads(said["HEALTHCHECK"].partition("CMD ")[2])[1:]):
        used = {word for word in words if word.startswith("-")}
        assert used <= options(ALL[words[0],])
    assert said["ENV"] == f"ELF_DATA={said['VOLUME']}"
