"""Brings a stopped data folder to this release: tables and snapshots, with its log proven before and after."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb
import msgspec
from msgspec import Struct

from actors.elves.deliberation import fold, new_mind
from actors.policies import POLICIES
from actors.snapshots import Snapshots, pure_zone
from actors.stopped_log import StoppedLog
from actors.version import is_newer, version
from events.envelope import Recorded
from events.log import LogDamaged
from events.observations import NodeStarted
from projections import definitions
from projections.anchor import path_in, write
from projections.archive import Archive
from projections.chain import Chain, ChainBroken
from projections.hands import Hands
from projections.moves import Moves
from projections.status import Status
from projections.warehouse import TABLES_KEY, VIEWS_KEY, Warehouse

FOLDS = {"archivist": Archive, "executor": Hands, "mover": Moves, "roster": Status}
"""By the names of the actors that keep them: what is folded besides the minds of the elves."""

Progress = Callable[[str, int, int], None]


class UpgradeRefused(Exception):
    """The folder is a newer release's."""


class Plan(Struct, frozen=True, kw_only=True):
    """What a folder is and what this release makes again: `tables` and `views` are kept, rebuilt or filled."""

    release: str
    pure_zone: str
    to_release: str
    to_pure_zone: str
    events: int
    head: str
    tables: str
    views: str
    snapshots: list[str]

    @property
    def due(self) -> bool:
        """Tell whether anything is to be made again."""
        return self.tables != "kept" or self.views != "kept" or bool(self.snapshots)


def survey(log: StoppedLog, progress: Progress) -> Plan:
    """Walk over the whole log, compare and change nothing. Raises LogDamaged, UpgradeRefused."""
    chain, started = Chain(), None
    for chunk in log.events():
        try:
            chain.extend(chunk)
        except ChainBroken as broken:
            raise LogDamaged(f"the log is damaged: {broken}; try elf log repair") from None
        for event in chunk:
            if isinstance(event.body, NodeStarted):
                started = event.body
        progress("proven", chain.position, log.last)
    release = started.release if started else ""
    if is_newer(release):
        raise UpgradeRefused(
            f"expected a data folder of release {version()} or an earlier one, got one of {release};"
            f" try elf of release {release}"
        )
    tables, views = _tables(log.data / "warehouse.duckdb")
    return Plan(
        release=release,
        pure_zone=started.pure_zone if started else "",
        to_release=version(),
        to_pure_zone=pure_zone(),
        events=chain.count,
        head=chain.head_hex,
        tables=tables,
        views=views,
        snapshots=_stale(log.data / "snapshots"),
    )


def upgrade(log: StoppedLog, plan: Plan, progress: Progress) -> None:
    """Make again what the plan names; the log's own files stay as they are. Raises LogDamaged."""
    if plan.tables != "kept" or plan.views != "kept":
        _rebuild(log, plan, progress)
    if plan.snapshots:
        _refold(log, progress)
    again = survey(log, progress)
    if (again.events, again.head) != (plan.events, plan.head) or again.due or log.prove() != log.last:
        raise LogDamaged(
            f"expected nothing left to do behind {plan.events} events, got {again}; try elf doctor"
        )


def _tables(path: Path) -> tuple[str, str]:
    if not path.exists():
        return "filled", "filled"
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    except duckdb.Error as problem:
        raise LogDamaged(
            f"expected tables in {path}, got {str(problem).splitlines()[0]}; remove the file and try again"
        ) from None
    if meta.get(TABLES_KEY) != definitions.tables_digest():
        return "rebuilt", "rebuilt"
    return "kept", "kept" if meta.get(VIEWS_KEY) == definitions.views_digest() else "rebuilt"


def _stale(folder: Path) -> list[str]:
    zone, found = pure_zone(), []
    for path in sorted(folder.glob("*.json")):
        try:
            known = msgspec.json.decode(path.read_bytes(), type=_Zone).zone
        except msgspec.DecodeError:
            known = ""
        if known != zone:
            found.append(path.stem)
    return found


class _Zone(Struct):
    zone: str


def _rebuild(log: StoppedLog, plan: Plan, progress: Progress) -> None:
    with Warehouse.open(
        log.data / "warehouse.duckdb", progress=lambda done, total: progress("tables", done, total)
    ) as warehouse:
        for chunk in log.events(warehouse.checkpoint):
            warehouse.add(chunk)
            progress("tables", chunk[-1].position, log.last)
        if warehouse.chain.head_hex != plan.head:
            raise LogDamaged(
                f"expected tables with the hash {plan.head}, got {warehouse.chain.head_hex};"
                f" remove {warehouse.path} and try again"
            )
        write(path_in(log.data), warehouse.anchor)


def _refold(log: StoppedLog, progress: Progress) -> None:
    """Fold the log once into everything that keeps snapshots; names that this release has not are removed."""
    snapshots = Snapshots(log.data / "snapshots")
    minds = [(policy, new_mind(policy)) for policy in POLICIES]
    folds = {name: kind() for name, kind in FOLDS.items()}
    for chunk in _watched(log, progress):
        for event in chunk:
            for policy, mind in minds:
                fold(policy, mind, event)
            for state in folds.values():
                state.apply(event)
    known = {policy.name for policy in POLICIES} | set(folds)
    for name in _stale(log.data / "snapshots"):
        if name not in known:
            (log.data / "snapshots" / f"{name}.json").unlink()
    for policy, mind in minds:
        snapshots.save(policy.name, mind)
    for name, state in folds.items():
        snapshots.keep(name, log.last, state)


def _watched(log: StoppedLog, progress: Progress) -> Iterator[Sequence[Recorded]]:
    for chunk in log.events():
        yield chunk
        progress("folded", chunk[-1].position, log.last)
