"""`elf node` and `elf init`: running a forest and beginning one."""

import faulthandler
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import HERE, WhereOption
from actors.faces.console.output import note, show_json

CONFIG = Path("forest.toml")
STARTER = Path(__file__).parents[3] / "examples" / "starter.toml"


def node(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])] = CONFIG,
    check: bool = False,
    debug: bool = False,
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Run a node until SIGTERM or Ctrl-C, then drain, stop the workers by their sequence and end.

    Parameters
    ----------
    config
        The configuration; docs/configuration.md lists every key.
    check
        Only read the configuration and say what is wrong with it.
    debug
        Log more to stderr.
    json
        With --check: print {"ok", "workers", "queues", "errors"}.
    """
    if check:
        return _check(config, json)
    from actors.allocator import share_one_arena

    share_one_arena()
    from actors.config_errors import ConfigErrors
    from actors.ground import GroundError
    from actors.log_lines import log_to_stderr
    from actors.node import run_node

    log_to_stderr(debug)
    # A watchdog that ends the node by SIGABRT leaves what every thread was at.
    faulthandler.enable(2)  # whatever stands for sys.stderr just now
    try:
        code = run_node(config, where.data, where.nats, lambda *urls: _welcome(config, where.data, *urls))
    except ConfigErrors as problem:
        raise Failure(str(problem)) from None
    except (GroundError, FileNotFoundError) as problem:
        raise Failure(str(problem), Exit.NO) from None
    if code != Exit.FINE:
        # Threads of a failed node may hold things that complain at length while the interpreter ends.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _check(config: Path, as_json: bool) -> int:
    from actors.config_errors import ConfigErrors
    from actors.config_reader import read_forest

    try:
        forest = read_forest(config)
    except ConfigErrors as problem:
        if as_json:
            show_json({"ok": False, "workers": 0, "queues": 0, "errors": str(problem).splitlines()})
            return Exit.USAGE
        raise Failure(str(problem)) from None
    if as_json:
        show_json({"ok": True, "workers": len(forest.workers), "queues": len(forest.queues), "errors": []})
    else:
        agents = f", {len(forest.agents)} agents" if forest.agents else ""
        print(f"{config} is fine: {len(forest.workers)} workers, {len(forest.queues)} queues{agents}")
    return Exit.FINE


def _welcome(config: Path, data: Path | None, url: str, web: str) -> None:
    """Say what to do next, once the node answers."""
    from actors.config_reader import read_forest

    forest = read_forest(config)
    folder = (data or Path(forest.node.data)).resolve()
    if forest.node.log_format == "json":
        logging.getLogger("elf.node").info("the node %s runs on %s, server %s", forest.node.name, folder, url)
        return
    # Only one of the usual folders is found without being named.
    at = "" if data is None and HERE.folder().resolve() == folder else f" --data {data or _short(folder)}"
    elf = ".venv/bin/elf" if shutil.which("elf") is None and Path(".venv/bin/elf").exists() else "elf"
    queue = forest.queues[0].name if forest.queues else "QUEUE"
    tasks = next(
        (path for path in (config.with_suffix(".jsonl"), config.parent / "tasks.jsonl") if path.exists()),
        None,
    )
    submit = f"submit --file {tasks} --wait" if tasks else f"submit {queue} --payload '\"hello\"' --wait"
    agent = forest.agents[0].name if forest.agents else "WORKER"
    worker = forest.workers[0].units()[0] if forest.workers else agent
    agents = f", {len(forest.agents)} agents" if forest.agents else ""
    join = f"  {elf} agent run {agent}{at} --exec COMMAND\n" if forest.agents else ""
    page = f"  dashboard {web}\n" if web else ""
    note(
        f"the node {forest.node.name} runs: {len(forest.workers)} workers, {len(forest.queues)} queues{agents}\n"
        f"  data      {folder}\n"
        f"  server    {url}\n{page}"
        f"in another terminal, in this folder:\n{join}"
        f"  {elf} {submit}{at}\n"
        f"  {elf} status{at}\n"
        f"  {elf} why {worker}{at}\n"
        f"  {elf} --help\n"
        "Ctrl-C ends the node and its workers in order."
    )


def _short(folder: Path) -> Path:
    """Return a folder as a person would type it here."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def init(folder: Path = Path(), /) -> int:
    """Write a commented forest.toml to start from; an existing one is never touched.

    Parameters
    ----------
    folder
        Where to write it.
    """
    target = folder / CONFIG
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(STARTER.read_text(encoding="utf-8"))
    except FileExistsError:
        raise Failure(f"expected no forest.toml in {folder}, got one; try another folder") from None
    print(f"wrote {target}; try elf node --check --config {target}, then elf node --config {target}")
    return Exit.FINE
