"""`elf node` and `elf init`: running a forest and beginning one."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from actors.faces.console.failure import Exit, Failure
from actors.faces.console.node_process import Order, become_node
from actors.faces.console.options import HERE, WhereOption
from actors.faces.console.output import show_json

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
    return become_node(Order(config, where.data, where.nats, debug))


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
