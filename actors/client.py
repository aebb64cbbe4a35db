"""A person's or a script's side of a forest: asks the node, says what people want, reads the log."""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from actors.connection import Connection, connect
from actors.jetstream import BATCH_LIMIT, JetStreamLog
from actors.old_tasks import last_of, used
from actors.place import ClientError, NodeUnreachable, Place, Role, knock
from events.codec import decode, encode
from events.envelope import Envelope, Recorded
from events.event import Event
from events.log import Conflict, Entry, Expect, LogUnreachable, entry
from events.observations import Intent, IntentSet, ScaleSet
from events.subjects import EVERYTHING, LOG, task_filter, token
from events.tasks import TaskCancelled, TaskDied, TaskDropped, TaskFinished, TaskSubmitted
from events.traces import traceparent

PAYLOAD_LIMIT = 256 * 1024
# An atomic batch is held open by the server, so one batch of great payloads is cut before it holds this much.
BATCH_BYTES = 4 * 1024 * 1024
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_CONNECT_S = 5.0
Said = tuple[Event, str]
_RETRY_S = (0.1, 0.3, 1.0, 3.0)


class Client:
    """One connection in one role. One asyncio loop; close it after use, best by `async with`."""

    def __init__(self, connection: Connection, place: Place) -> None:
        self.connection = connection
        self.place = place
        self.log = JetStreamLog(connection)
        self.source = connection.credentials.source

    @classmethod
    async def open(cls, place: Place, role: Role = "operator", *, patient: bool = False) -> "Client":
        """Connect. A patient client reconnects for ever afterwards. Raises NodeUnreachable."""
        credentials = place.credentials(role)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await knock(credentials)
                connection = await connect(credentials, f"elf-{role}", attempts=-1 if patient else 0)
        except (TimeoutError, NatsError, OSError) as problem:
            raise NodeUnreachable(
                f"expected a running node at {credentials.url}, got no answer; try elf node --config FILE"
            ) from problem
        return cls(connection, place)

    async def close(self) -> None:
        """Flush and close the connection."""
        await self.connection.close()

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def ask(self, verb: str, body: object = None, timeout: float = 5.0) -> dict[str, Any]:
        """Ask the node. Raises NodeUnreachable when it does not answer, ClientError when it says no."""
        data = msgspec.json.encode({} if body is None else body)
        try:
            reply = await self.connection.client.request(f"ctl.{verb}", data, timeout=timeout)
        except (NoRespondersError, TimeoutError, NatsError, OSError) as problem:
            quick = isinstance(problem, NoRespondersError)
            raise NodeUnreachable(
                f"expected a running node at {self.connection.credentials.url}, got"
                f" {'a server without one' if quick else f'no answer to {verb} within {timeout:g} s'};"
                " try elf node --config forest.toml"
            ) from problem
        answer: dict[str, Any] = msgspec.json.decode(reply.data)
        if not answer.pop("ok", False):
            raise ClientError(str(answer.get("error", "the node refused")), int(answer.get("code", 1)))
        return answer

    def envelope(self, body: Event, correlation: str = "", cause: str = "", trace: str = "") -> Envelope:
        """Wrap what this user says, with a fresh id and the time of this machine."""
        return Envelope(
            id=secrets.token_hex(8),
            time=time.time_ns() // 1000,
            source=self.source,
            cause=cause,
            correlation=correlation,
            trace=trace,
            body=body,
        )

    async def query(self, sql: str, values: Sequence[object]) -> list[list[Any]]:
        """Return the rows that the node's tables have, none where no node answers."""
        try:
            return list((await self.ask("sql", {"sql": sql, "params": list(values)}, 15.0))["rows"])
        except NodeUnreachable:
            return []

    async def submit(
        self,
        tasks: Sequence[TaskSubmitted],
        done: Callable[[int], None] = lambda _: None,
        chosen: Collection[str] = (),
        traces: Mapping[str, str] | None = None,
    ) -> None:
        """Append tasks, up to 1,000 at once. Raises ClientError that names the ids that exist already.

        `chosen` are ids that somebody made up: those are compared with the node's tables, too, for the stream
        forgets what is over. `traces` are the W3C traceparents of tasks, by id; ValueError for one that is none.
        """
        known_traces = {task: traceparent(trace) for task, trace in (traces or {}).items() if trace}
        ours = {(task.queue, task.task) for task in tasks if task.task in chosen}
        if ours and (known := await used(self.query, ours)):
            raise _known(known)
        entries = [
            entry(
                self.envelope(task, task.task, trace=known_traces.get(task.task, "")),
                Expect(task_filter(task.queue, task.task), 0),
            )
            for task in tasks
        ]
        stored = 0
        for batch in _cut(entries):
            await self._submit_batch(batch, stored)
            stored += len(batch)
            done(stored)

    async def _submit_batch(self, batch: Sequence[Entry], before: int) -> None:
        for pause in (*_RETRY_S, None):
            try:
                await self.log.append(batch)
                return
            except LogUnreachable:
                # It may be stored or not. The same ids again are harmless, and refused only if it is.
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            except Conflict:
                known = [item for item in batch if not await self._is_ours(item)]
                if not known:
                    return
                await self._explain_known(known, before)

    async def _is_ours(self, item: Entry) -> bool:
        """Tell whether this very submission stands in the log: then an earlier try succeeded."""
        last = await self.log.last(item.subject)
        return last is not None and last.id == item.envelope.id

    async def _explain_known(self, batch: Sequence[Entry], before: int) -> None:
        known = []
        for item in batch:
            assert item.expect is not None
            last = await self.log.last(item.expect.filter)
            if last:
                known.append(
                    f"{item.envelope.correlation} (last event: {last.type} at position {last.position})"
                )
        if not known:
            raise Conflict("expected the log to take the tasks, got a conflict with nothing; try again")
        raise _known(known, f"; the {before} tasks before this batch are submitted" if before else "")

    async def find(self, task: str) -> Recorded | None:
        """Return the last event of a task, whatever its queue."""
        return await self.log.last(task_filter("*", token(task, "task id")))

    async def cancel(self, task: str, reason: str = "") -> int:
        """Withdraw a task; returns the position. Raises ClientError if it is unknown or has ended."""

        async def withdrawal(last: Recorded, queue: str) -> Said:
            if isinstance(last.body, TaskFinished | TaskDied | TaskDropped | TaskCancelled):
                raise ClientError(f"expected a task that has not ended, got {task}: {last.type}", 1)
            return TaskCancelled(task=task, queue=queue, reason=reason), last.trace

        return await self.change(task, withdrawal)

    async def change(self, task: str, say: Callable[[Recorded, str], Awaitable[Said]]) -> int:
        """Append what `say` makes of a task's last event and queue, if that event is still the last one then.

        `say` returns it with the trace that it belongs to. Returns the position. Raises ClientError if the task is
        unknown.
        """
        for _ in range(20):
            last = await self.find(task)
            stands = last.position if last else 0
            # Of one that is over the stream may have nothing any more.
            last = last or await last_of(self.query, task)
            if last is None:
                raise ClientError(f"expected a task of this forest, got {task!r}; try elf tasks", 1)
            queue = last.subject.split(".")[4]
            body, trace = await say(last, queue)
            expect = Expect(task_filter(queue, task), stands)
            envelope = self.envelope(body, task, last.id, trace)
            try:
                receipt = await self.log.append([entry(envelope, expect)])
            except Conflict:  # something happened to it meanwhile; look again
                continue
            return receipt.positions[-1]
        raise Conflict(f"expected {task} to keep still for a change, got 20 others in a row; try again")

    async def intend(self, target: str, intent: Intent, *, restart: bool = False, reason: str = "") -> int:
        """Say what a worker shall do; returns the position. Works while no node leads."""
        body = IntentSet(target=token(target, "worker"), intent=intent, restart=restart, reason=reason)
        receipt = await self.log.append([entry(self.envelope(body))])
        return receipt.positions[-1]

    async def say(self, body: Event, cause: str = "") -> int:
        """Append one event of a person's own; returns the position. Works while no node leads."""
        receipt = await self.log.append([entry(self.envelope(body, cause=cause))])
        return receipt.positions[-1]

    async def scale(self, pool: str, count: int, *, reason: str = "") -> int:
        """Say how many processes a pool shall have, -1 for what the forest thinks; returns the position."""
        body = ScaleSet(pool=token(pool, "worker"), count=count, reason=reason)
        receipt = await self.log.append([entry(self.envelope(body))])
        return receipt.positions[-1]

    async def read(
        self, after: int = 0, until: int | None = None, filter: str = EVERYTHING, batch: int = 1000
    ) -> AsyncIterator[list[Recorded]]:
        """Yield what stands in the log behind `after`, in order; needs neither a node nor a consumer."""
        while until is None or after < until:
            chunk, more = await self._read_batch(after, filter, batch)
            if until is not None:
                chunk = [event for event in chunk if event.position <= until]
            if chunk:
                after = chunk[-1].position
                yield chunk
            if not more or not chunk:
                return

    async def _read_batch(self, after: int, filter: str, batch: int) -> tuple[list[Recorded], bool]:
        """Read up to `batch` events in one request; the second value says whether more stand behind them."""
        events: list[Recorded] = []
        end: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def take(message: Msg) -> None:
            headers = message.headers or {}
            status = headers.get("Status")
            if status is None:
                event = decode(int(headers["Nats-Sequence"]), headers["Nats-Subject"], bytes(message.data))
                events.append(event)
            elif not end.done():
                end.set_result(status == "204" and int(headers.get("Nats-Num-Pending", "0")) > 0)

        query = {"seq": after + 1, "batch": batch, "next_by_subj": filter}
        client = self.connection.client
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=take)
        try:
            await client.publish(f"$JS.API.DIRECT.GET.{LOG}", msgspec.json.encode(query), reply=inbox)
            async with asyncio.timeout(10):
                more = await end
        except (TimeoutError, NatsError, OSError) as problem:
            raise LogUnreachable(
                f"expected the events behind {after}, got {type(problem).__name__}; is the server up?"
            ) from problem
        finally:
            await subscription.unsubscribe()
        return events, more


def _known(found: Sequence[str], told: str = "") -> ClientError:
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return ClientError(
        f"expected ids that are new, got {', '.join(found[:5])}{more}; try without an id{told}", 1
    )


def new_ids(count: int) -> list[str]:
    """Return fresh task ids that sort by the time they were made."""
    stamp = time.time_ns() // 1_000_000
    start = (stamp << 40) | int.from_bytes(os.urandom(4), "big")
    return [_spell(start + number) for number in range(count)]


def _spell(number: int) -> str:
    letters = []
    for _ in range(18):
        number, low = divmod(number, 32)
        letters.append(_LETTERS[low])
    return "".join(reversed(letters)).lstrip("0")


def _cut(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for item in entries:
        length = len(encode(item.envelope))
        if batch and (len(batch) == BATCH_LIMIT or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += length
    if batch:
        yield batch
