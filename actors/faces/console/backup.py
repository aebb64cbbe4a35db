"""`elf backup`, `elf restore` and `elf upgrade`: a log's copies and its way through releases."""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from actors.backup import write_backup
from actors.backup_form import BackupRefused, Manifest
from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import HERE, WhereOption
from actors.faces.console.output import Progress, note, show_json
from actors.faces.console.source import LogSource
from actors.ground import GroundError
from actors.inspection import known_anchor
from actors.place import Place
from actors.restore import describe
from actors.restore import restore as rebuild
from actors.stopped_log import StoppedLog
from actors.upgrade import UpgradeRefused, survey
from actors.upgrade import upgrade as bring_up


def backup(
    file: Path,
    /,
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Write the whole log into one file, from a running node or a stopped data folder.

    Parameters
    ----------
    file
        The backup to write, mode 0600; an existing file is never touched.
    config
        The forest.toml to put in; without it the one in the data folder or here, if it names this data folder.
    json
        Print the manifest without its files.
    """
    place = where.place()
    text = _config(config, place.data)
    try:
        manifest = _backup(file, place, text)
    except FileExistsError:
        raise Failure(f"expected a new file, got {file}, which exists; try another name") from None
    except BackupRefused as problem:
        raise Failure(str(problem)) from None
    if json:
        show_json(describe(manifest))
    else:
        print(
            f"{manifest.count:,} events in {file}, head {manifest.head}; elf restore {file} DIR brings them back"
        )
    return Exit.FINE


def _backup(file: Path, place: Place, config: bytes | None) -> Manifest:
    anchor = known_anchor(place.data) if place.data is not None else None
    stopped = _own_files(place)
    if stopped is not None:
        with stopped as log:
            sealed = [one.last for one in log.segments.all]
            progress = Progress("backed up", log.last)
            done = write_backup(file, log.events(), sealed, anchor, config, progress.at)
    else:
        with LogSource(place) as source:
            sealed = [one.last for one in source.segments.all] if source.segments else []
            last = source.end()
            progress = Progress("backed up", last)
            done = write_backup(file, source.chunks(0, last), sealed, anchor, config, progress.at)
    progress.end()
    return done


def _own_files(place: Place) -> StoppedLog | None:
    """Return the stopped folder's own log; None where a node or its server is to be asked."""
    if place.nats or place.data is None or not (place.data / "nats" / "store").exists():
        return None
    try:
        return StoppedLog(place.data)
    except GroundError:
        return None


def _stopped(data: Path) -> StoppedLog:
    try:
        return StoppedLog(data)
    except GroundError as problem:
        raise Failure(str(problem)) from None


def _config(asked: Path | None, data: Path | None) -> bytes | None:
    if asked is not None:
        return asked.read_bytes()
    if data is not None and (data / "forest.toml").is_file():
        return (data / "forest.toml").read_bytes()
    here = Path("forest.toml")
    try:
        text = here.read_bytes()
        named = tomllib.loads(text.decode()).get("node", {}).get("data", "data")
    except (OSError, ValueError, AttributeError):
        return None
    return text if data is not None and data.resolve() == Path(named).resolve() else None


def restore(file: Path, folder: Path, /, *, json: bool = False) -> int:
    """Make a data folder out of a backup, with new passwords; elf node --data goes on at the next position.

    Parameters
    ----------
    file
        The backup.
    folder
        A new or an empty folder.
    json
        Print the manifest without its files.
    """
    progress = Progress("restored", 0)

    def told(done: int, total: int) -> None:
        progress.total = total
        progress.at(done)

    try:
        manifest = rebuild(file, folder, told)
    except BackupRefused as problem:
        raise Failure(str(problem)) from None
    finally:
        progress.end()
    if json:
        show_json(describe(manifest))
        return Exit.FINE
    print(f"{manifest.count:,} events in {folder}, positions {manifest.first} to {manifest.last}")
    print(f"the head is {manifest.head}; elf log verify --data {folder} proves it")
    note(
        "before a node starts on it, end the node it is of: on one machine it would take over that one's workers"
    )
    return Exit.FINE


def upgrade(*, check: bool = False, json: bool = False, where: WhereOption = HERE) -> int:
    """Bring a stopped data folder to this release: tables and snapshots, the log proven before and after.

    Parameters
    ----------
    check
        Only say what would be made again; exit code 1 when there is something.
    json
        Print {"release", "to_release", "events", "head", "tables", "views", "snapshots", ...}.
    """
    folder = where.folder()
    shown = Progress("", 0)

    def told(what: str, done: int, total: int) -> None:
        shown.what, shown.total = what, total
        shown.at(done)

    with _stopped(folder) as log:
        try:
            plan = survey(log, told)
            if plan.due and not check:
                bring_up(log, plan, told)
        except UpgradeRefused as problem:
            raise Failure(str(problem)) from None
        finally:
            shown.end()
    if json:
        show_json(msgspec.to_builtins(plan))
    else:
        print(f"{plan.events:,} events of release {plan.release or 'unknown'}, head {plan.head}")
        print(f"tables {plan.tables}, views {plan.views}, snapshots folded again: {len(plan.snapshots)}")
        print("nothing to do" if not plan.due else "to be done" if check else "done and proven")
    return Exit.NO if check and plan.due else Exit.FINE
