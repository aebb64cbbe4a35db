"""Answers to SQL wherever they are to be had: from the running node, else from the stopped data folder."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.client import Client
from actors.faces.console.failure import Exit, Failure
from actors.faces.console.output import Progress
from actors.place import NodeUnreachable, Place

if TYPE_CHECKING:
    from projections.warehouse import Warehouse

WAREHOUSE = "warehouse.duckdb"


class Answer:
    """Columns, their types and rows; `position` is how much of the log they rest on."""

    def __init__(
        self,
        columns: Sequence[str],
        types: Sequence[str],
        rows: Sequence[Sequence[Any]],
        truncated: bool,
        position: int,
    ) -> None:
        self.columns = list(columns)
        self.types = list(types)
        self.rows = [list(row) for row in rows]
        self.truncated = truncated
        self.position = position

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Reading:
    """One source of answers, chosen at the first question. Blocking; use as a context manager."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._runner = asyncio.Runner()
        self._client: Client | None = None
        self._warehouse: Warehouse | None = None

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._client:
                self._runner.run(self._client.close())
            if self._warehouse:
                self._warehouse.close()
        finally:
            self._runner.close()

    def query(self, sql: str, params: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Return all rows of a query of ours."""
        return self.ask(sql, params).records()

    def ask(self, sql: str, params: Sequence[object] = (), limit: int = 10_000) -> Answer:
        """Run one query. Raises ClientError or Failure in one line."""
        if self._warehouse is None:
            try:
                return self._ask_node(sql, params, limit)
            except NodeUnreachable as problem:
                self._warehouse = open_file(self.place, problem)
        return self._ask_file(self._warehouse, sql, params, limit)

    def publish(self) -> dict[str, Any]:
        """Have the tables published for other programs; returns `path` and `position`. Raises like `ask`."""

        async def ask() -> dict[str, Any]:
            client = await Client.open(self.place, "operator")
            try:
                return await client.ask("publish", {}, timeout=120.0)
            finally:
                await client.close()

        try:
            answer = self._runner.run(ask())
        except NodeUnreachable as problem:
            open_file(self.place, problem).close()
            answer = _publish_file(problem, self.place)
        return {name: answer[name] for name in ("path", "position", "seconds")}

    def _ask_node(self, sql: str, params: Sequence[object], limit: int) -> Answer:
        body = {"sql": sql, "params": list(params), "limit": limit}

        async def ask() -> dict[str, Any]:
            if self._client is None:
                self._client = await Client.open(self.place, "client")
            return await self._client.ask("sql", body, timeout=15.0)

        answer = self._runner.run(ask())
        return Answer(
            answer["columns"],
            answer["types"],
            answer["rows"],
            bool(answer["truncated"]),
            int(answer["position"]),
        )

    def _ask_file(self, warehouse: "Warehouse", sql: str, params: Sequence[object], limit: int) -> Answer:
        from projections.query import OutOfTime, QueryError, run

        try:
            table = run(warehouse.cursor(), sql, list(params), limit=limit)
        except QueryError as problem:
            raise Failure(
                str(problem), Exit.CANNOT_SAY if isinstance(problem, OutOfTime) else Exit.USAGE
            ) from None
        return Answer(table.columns, table.types, table.rows, table.truncated, warehouse.checkpoint)


def open_file(place: Place, problem: NodeUnreachable) -> "Warehouse":
    """Open the stopped folder's tables. Raises `problem` when there are none, Failure when they are held."""
    if place.data is None or not (place.data / WAREHOUSE).exists():
        raise problem
    from projections.warehouse import Warehouse
    from projections.warehouse_file import WarehouseDamaged, WarehouseError, WarehouseLocked

    path = place.data / WAREHOUSE
    try:
        return Warehouse.open(path, read_only=True)
    except WarehouseLocked as locked:
        raise Failure(
            f"expected the node to answer or {path} to be free, got no answer and a process that holds it;"
            " try again in a moment, or elf doctor",
            Exit.UNREACHABLE,
        ) from locked
    except WarehouseDamaged as damaged:
        raise Failure(str(damaged), Exit.DAMAGED) from damaged
    except WarehouseError:  # of another release: nobody holds it, so its tables may be made again
        return _bring_up_to_date(path)


def _publish_file(problem: NodeUnreachable, place: Place) -> dict[str, Any]:
    """Publish a stopped folder's tables."""
    from projections.published import publish
    from projections.segments import Segments
    from projections.warehouse import Warehouse

    if place.data is None:
        raise problem
    with Warehouse.open(place.data / WAREHOUSE) as warehouse:
        done = publish(warehouse, Segments(place.data))
    return {"path": str(done.path), "position": done.position, "seconds": done.seconds}


def _bring_up_to_date(path: Path) -> "Warehouse":
    from projections.warehouse import Warehouse

    progress = Progress("events read again", 0)

    def told(done: int, total: int) -> None:
        progress.total = total
        progress.at(done)

    try:
        return Warehouse.open(path, progress=told)
    finally:
        progress.end()
