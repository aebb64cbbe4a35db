"""How each unit is launched: its arguments, its clean environment, its folder and its log."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from actors.config import Forest, Worker, expand
from actors.confinement import cpu_base, cpu_group, home_of, prefix_of
from actors.nats_server import ACK_WAIT_S
from actors.notify_pipes import pipe_of
from actors.runner_spec import Spec
from events.codec import canonical

Kind = Literal["plain", "call", "exec"]

_MAIN = Path(__file__).resolve().parents[1] / "__main__.py"


class Launch(Struct, frozen=True, kw_only=True):
    """One process to start; `notify` is the pipe by which a plain program may say more, empty for a runner."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    log: str
    kind: Kind
    notify: str = ""


def launch_of(
    forest: Forest,
    unit: str,
    *,
    generation: int = 1,
    marker: str = "",
    data: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Launch:
    """Return how to start one generation of a unit. Raises LookupError for a unit that no worker has.

    Where it is to run as another user or within limits, the tools that see to it stand before a plain command;
    a runner puts them before its handler hosts and programs. It is the node's own and reads no PYTHON variable,
    which are meant for the handler. `marker` becomes ELF_UNIT. `data` is the data folder if it is not the
    file's, `environ` the node's environment if it is not this process's.
    """
    worker = forest.worker_of(unit)
    folder = data or Path(forest.node.data)
    given = os.environ if environ is None else environ
    prefix = _prefix(worker, marker, unit)
    env, notify = _environment(forest, worker, marker, given), ""
    if worker.command:
        kind: Kind = "plain"
        argv = (*prefix, *worker.command)
        notify = str(pipe_of(folder, unit).absolute())
        env["ELF_NOTIFY"] = notify
    else:
        kind = "call" if worker.call else "exec"
        spec = _spec(forest, worker, unit, generation, folder / "spool" / f"{unit}.jsonl", prefix)
        argv = (sys.executable, "-E", "-u", str(_MAIN), "runner", "--spec", canonical(spec).decode())
    return Launch(
        argv=argv,
        env=env,
        cwd=worker.cwd or os.getcwd(),
        log=str(folder / "logs" / f"{unit}.log"),
        kind=kind,
        notify=notify,
    )


def _prefix(worker: Worker, marker: str, unit: str) -> tuple[str, ...]:
    group = None
    if worker.cpu_limit > 0:
        base = cpu_base()
        if base is None:
            raise LookupError(
                f"expected a cgroup for cpu_limit of {worker.name}, got none that may be written"
            )
        name = f"{marker.partition(':')[0] or 'forest'}.{unit}"
        group = cpu_group(base, name, worker.cpu_limit)
    return prefix_of(worker.rlimits, worker.user, group)


def _spec(
    forest: Forest, worker: Worker, unit: str, generation: int, spool: Path, prefix: tuple[str, ...]
) -> Spec:
    queue = next(queue for queue in forest.queues if queue.name == worker.queue)
    return Spec(
        unit=unit,
        generation=generation,
        pool=worker.name,
        queue=worker.queue,
        call=worker.call,
        exec=worker.exec,
        python=worker.python or sys.executable,
        cwd=worker.cwd or os.getcwd(),
        batch=worker.batch,
        concurrency=worker.concurrency,
        timeout_s=queue.timeout_s,
        max_attempts=queue.max_attempts,
        deaths=queue.deaths,
        age_s=queue.age_s,
        stop_wait_s=worker.stop_wait_s,
        ack_wait_s=ACK_WAIT_S,
        spool=str(spool),
        logs=str(spool.parents[1] / "logs"),
        redact=forest.log.redact,
        prefix=prefix,
    )


def _environment(forest: Forest, worker: Worker, marker: str, given: Mapping[str, str]) -> dict[str, str]:
    """Only what is named here reaches a process; the node's own variables (its tokens among them) do not."""
    clean = clean_environment(forest.node.timezone, given)
    if worker.user:
        clean |= home_of(worker.user)
    own = {name: expand(value, given) for name, value in worker.env.items()}
    return {**clean, **own, "ELF_UNIT": marker}


def clean_environment(zone: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return what every process gets of the node's environment."""
    return {
        "PATH": given.get("PATH", os.defpath),
        "HOME": given.get("HOME", "/"),
        "LANG": given.get("LANG", "C.UTF-8"),
        "TZ": zone,
        "PYTHONUNBUFFERED": "1",
    }
