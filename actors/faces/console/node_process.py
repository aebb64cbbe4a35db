"""The process of a node: what `elf node` becomes once its words are understood, without the parser of commands.

A node runs for months; what only a command line needs would lie in its memory all that time (2.5 MB).
"""

import faulthandler
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import msgspec

from actors.faces.console.failure import Exit, Failure, say, tell
from actors.faces.console.folders import usual_folder
from actors.faces.console.output import note

WORD = "node-process"
_MAIN = Path(__file__).resolve().parents[3] / "__main__.py"
_ORDER = "ELF_NODE_ORDER"


class Order(msgspec.Struct, frozen=True):
    """What a node is to run on."""

    config: Path
    data: Path | None
    nats: str
    debug: bool


def become_node(order: Order) -> NoReturn:
    """Go on as the process of a node: the pid, its output and whoever waits for it stay."""
    # The address may hold a password, and everybody may read the words of a process.
    surroundings = os.environ | {_ORDER: msgspec.json.encode(order, enc_hook=str).decode()}
    sys.stdout.flush()
    sys.stderr.flush()
    words = [sys.executable, str(_MAIN), WORD, str(order.config)]
    os.execve(sys.executable, words, surroundings)  # noqa: S606, no shell is wanted


def main() -> int:
    """Run the node that was ordered; a failure is one line on stderr and an exit code, as of every command."""
    text = os.environ.pop(_ORDER, "")
    if not text:
        return say(f"expected elf node, got elf {WORD}; try elf node --help", Exit.USAGE)
    order = msgspec.json.decode(text, type=Order, dec_hook=lambda kind, value: kind(value))
    try:
        return _run(order)
    except KeyboardInterrupt:
        return 130
    except Exception as problem:
        if order.debug:
            raise
        return tell(problem)


def _run(order: Order) -> int:
    from actors.allocator import give_back_soon, share_one_arena

    share_one_arena()
    give_back_soon()
    from actors.config_errors import ConfigErrors
    from actors.ground import GroundError
    from actors.log_lines import log_to_stderr
    from actors.node import run_node

    log_to_stderr(order.debug)
    # A watchdog that ends the node by SIGABRT leaves what every thread was at.
    faulthandler.enable(2)  # whatever stands for sys.stderr just now
    try:
        code = run_node(
            order.config, order.data, order.nats, lambda *urls: _welcome(order.config, order.data, *urls)
        )
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


def _welcome(config: Path, data: Path | None, url: str, web: str) -> None:
    """Say what to do next, once the node answers."""
    from actors.config_reader import read_forest

    forest = read_forest(config)
    folder = (data or Path(forest.node.data)).resolve()
    if forest.node.log_format == "json":
        logging.getLogger("elf.node").info("the node %s runs on %s, server %s", forest.node.name, folder, url)
        return
    # Only one of the usual folders is found without being named.
    at = "" if data is None and usual_folder().resolve() == folder else f" --data {data or _short(folder)}"
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
