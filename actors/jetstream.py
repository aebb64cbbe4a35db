"""The log on a JetStream stream: durable appends, compare-and-set, reading by position."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from actors.connection import Connection
from actors.pull import Puller
from events.codec import decode, encode
from events.envelope import Recorded
from events.log import Conflict, Entry, LogDamaged, LogFull, LogRefused, LogUnreachable, Receipt
from events.subjects import EVERYTHING, LOG

BATCH_LIMIT = 1000
BYTES_LIMIT = 8 * 1024 * 1024
"""So much of the log may be on its way to a reader: the server drops a connection that takes too little of 64 MB."""

_WRONG_LAST = {10071, 10164}
_FULL = {10077, 10023, 10047, 10122}
_KNOWN_ID = 10201
# The server lost the beginning of an atomic batch, in a restart or a reconnection: nothing of it is stored.
_INCOMPLETE = 10176


class _Problem(Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Ack(Struct):
    seq: int = 0
    duplicate: bool = False
    count: int = 0
    error: _Problem | None = None


class _KnownId(Exception):
    """A batch holds an id that the stream knows."""


_ack = msgspec.json.Decoder(_Ack)


class JetStreamLog:
    """`events.log.EventLog` over one connection. One asyncio loop; not thread safe."""

    def __init__(self, connection: Connection, stream: str = LOG, timeout: float = 5.0) -> None:
        self.connection = connection
        self.stream = stream
        self.timeout = timeout
        self._nonce = os.urandom(6).hex()
        self._batches = itertools.count(1)

    async def append(self, batch: Sequence[Entry]) -> Receipt:
        """See `EventLog.append`; at most 1,000 events, one alone without the batch protocol."""
        if not batch:
            return Receipt(())
        if len(batch) > BATCH_LIMIT:
            raise LogRefused(f"expected at most {BATCH_LIMIT} events in a batch, got {len(batch)}")
        if len(batch) == 1:
            return _receipt(batch, [await self._publish(batch[0])])
        try:
            ack = await self._atomic(batch)
        except _KnownId:
            # Ids are deterministic and so are batches: if one is known the others are, or are safe to say alone.
            return _receipt(batch, [await self._publish(item) for item in batch])
        return Receipt(tuple(range(ack.seq - len(batch) + 1, ack.seq + 1)))

    async def pipeline(self, batch: Sequence[Entry]) -> list[Receipt | Exception]:
        """Publish independent events at once without making them one unit; one result each."""
        results = await asyncio.gather(*(self._publish(item) for item in batch), return_exceptions=True)
        return [
            _receipt([item], [result]) if isinstance(result, _Ack) else _as_exception(result)
            for item, result in zip(batch, results, strict=True)
        ]

    async def last(self, filter: str) -> Recorded | None:
        """See `EventLog.last`."""
        return await self._get({"last_by_subj": filter})

    async def last_on(self, subject: str) -> Recorded | None:
        """Return the last event on one subject, for a user that may ask for this subject only."""
        return await self._get({}, subject)

    async def at(self, position: int) -> Recorded | None:
        """Return the event at a position, or None."""
        return await self._get({"seq": position})

    async def next(self, after: int, filter: str = EVERYTHING) -> Recorded | None:
        """Return the first event behind a position under a subject filter, or None."""
        return await self._get({"seq": after + 1, "next_by_subj": filter})

    async def end(self) -> int:
        """See `EventLog.end`."""
        last = await self.last(EVERYTHING)
        return last.position if last else 0

    async def follow(self, after: int = 0, filter: str = EVERYTHING) -> AsyncIterator[Sequence[Recorded]]:
        """See `EventLog.follow`; creates a consumer of its own, so the user must be allowed to."""
        reader = Reader(self.connection, self.stream, after, filter)
        try:
            async for chunk in reader.read():
                yield chunk
        finally:
            await reader.close()

    async def _publish(self, item: Entry) -> _Ack:
        data = encode(item.envelope)
        ack = _ack.decode(await self._request(item.subject, data, headers_of(item)))
        self._check(ack, item.subject)
        return ack

    async def _atomic(self, batch: Sequence[Entry]) -> _Ack:
        name = f"{self._nonce}-{next(self._batches)}"
        for number, item in enumerate(batch[:-1], 1):
            headers = headers_of(item) | {"Nats-Batch-Id": name, "Nats-Batch-Sequence": str(number)}
            await self.connection.client.publish(item.subject, encode(item.envelope), headers=headers)
        item = batch[-1]
        headers = headers_of(item) | {"Nats-Batch-Id": name, "Nats-Batch-Sequence": str(len(batch))}
        headers["Nats-Batch-Commit"] = "1"
        ack = _ack.decode(await self._request(item.subject, encode(item.envelope), headers))
        self._check(ack, batch[0].subject)
        return ack

    async def _request(self, subject: str, data: bytes, headers: dict[str, str]) -> bytes:
        refused = len(self.connection.refusals)
        try:
            reply = await self.connection.client.request(subject, data, timeout=self.timeout, headers=headers)
        except NoRespondersError as problem:
            raise LogUnreachable(
                "expected the log to answer, got no JetStream; is the server starting?"
            ) from problem
        except (TimeoutError, NatsError, OSError) as problem:
            news = list(self.connection.refusals)[refused:]
            if any(subject in line for line in news):
                raise LogRefused(f"{self.connection.credentials.user} may not write {subject}") from problem
            raise LogUnreachable(
                f"expected an answer from the log, got {type(problem).__name__}"
            ) from problem
        return bytes(reply.data)

    def _check(self, ack: _Ack, subject: str) -> None:
        problem = ack.error
        if problem is None:
            return
        text = f"{subject}: {problem.description} ({problem.err_code})"
        if problem.err_code in _WRONG_LAST:
            raise Conflict(text)
        if problem.err_code in _FULL or problem.code == 503:
            raise LogFull(text)
        if problem.err_code == _KNOWN_ID:
            raise _KnownId(text)
        if problem.err_code == _INCOMPLETE:
            raise LogUnreachable(text)
        raise LogRefused(text)

    async def _get(self, query: dict[str, Any], on: str = "") -> Recorded | None:
        subject = f"$JS.API.DIRECT.GET.{self.stream}{'.' if on else ''}{on}"
        try:
            data = msgspec.json.encode(query) if query else b""
            reply = await self.connection.client.request(subject, data, timeout=self.timeout)
        except (TimeoutError, NatsError, OSError) as problem:
            raise LogUnreachable(
                f"expected an answer from the log, got {type(problem).__name__}"
            ) from problem
        headers = reply.headers or {}
        if "Status" in headers:
            return None
        return decode(int(headers["Nats-Sequence"]), headers["Nats-Subject"], bytes(reply.data))


def headers_of(item: Entry) -> dict[str, str]:
    """Return the headers that make an append idempotent and conditional."""
    headers = {"Nats-Msg-Id": item.envelope.id}
    if item.expect is not None:
        headers["Nats-Expected-Last-Subject-Sequence"] = str(item.expect.position)
        headers["Nats-Expected-Last-Subject-Sequence-Subject"] = item.expect.filter
    return headers


def _receipt(batch: Sequence[Entry], acks: Sequence[_Ack]) -> Receipt:
    known = tuple(item.envelope.id for item, ack in zip(batch, acks, strict=True) if ack.duplicate)
    return Receipt(tuple(ack.seq for ack in acks), known)


def _as_exception(problem: BaseException | _Ack) -> Exception:
    return problem if isinstance(problem, Exception) else LogUnreachable(repr(problem))


class Reader:
    """Reads a stream by position through a pull consumer, without gap or repetition, across server restarts."""

    def __init__(
        self,
        connection: Connection,
        stream: str,
        after: int,
        filter: str = EVERYTHING,
        consumer: str = "",
        credit: int = 2000,
    ) -> None:
        self.connection = connection
        self.stream = stream
        self.after = after
        self.filter = filter
        self._given = consumer
        self._credit = credit
        self._messages: list[Msg] = []
        self._news = asyncio.Event()
        self._gone = ""
        self._puller: Puller | None = None
        self._name = consumer
        self._made = 0
        self._gap_at = -1

    async def read(self, idle: float | None = None) -> AsyncIterator[Sequence[Recorded]]:
        """Yield chunks in order; ends after `idle` seconds without an event, or never."""
        await self._open()
        while True:
            try:
                await asyncio.wait_for(self._news.wait(), idle)
            except TimeoutError:
                return
            self._news.clear()
            if self._gone:
                await self._reopen()
            messages, self._messages = self._messages, []
            if self._puller:
                self._puller.order()
            chunk, whole = self._fresh(messages)
            if chunk:
                yield chunk
            if not whole:
                await self._mend()

    async def close(self) -> None:
        """Stop pulling and remove the consumer if it is ours."""
        if self._puller:
            await self._puller.stop()
        await self._remove()

    async def _remove(self) -> None:
        if not self._given and self._made:
            await self._api(f"CONSUMER.DELETE.{self.stream}.{self._name}", {})

    def _fresh(self, messages: Sequence[Msg]) -> tuple[list[Recorded], bool]:
        """Turn messages into events behind the last one; False when one is missing in between."""
        chunk: list[Recorded] = []
        for message in messages:
            position = int(message.reply.split(".", 6)[5])
            if position <= self.after:
                continue
            if self.filter == EVERYTHING and position != self.after + 1 and self.after:
                return chunk, False
            chunk.append(decode(position, message.subject, bytes(message.data)))
            self.after = position
        return chunk, True

    async def _mend(self) -> None:
        """Read again from the last event; a gap that stays is damage and not a lost delivery."""
        if self._gap_at == self.after:
            raise LogDamaged(f"expected position {self.after + 1} of {self.stream}, got a later one twice")
        self._gap_at = self.after
        # It would hold the stream's messages back for as long as the server waits for its reader.
        await self._remove()
        await self._reopen()

    async def _reopen(self) -> None:
        self._gone = ""
        self._messages = []
        if self._puller:
            await self._puller.stop()
        self._puller = None
        await self._open()

    async def _open(self) -> None:
        if not self._given:
            await self._create()
        self._puller = Puller(
            self.connection,
            self._name,
            self._take,
            self._room,
            self._lose,
            stream=self.stream,
            bytes_limit=BYTES_LIMIT,
        )
        await self._puller.start()

    async def _create(self) -> None:
        self._made += 1
        self._name = f"r_{os.urandom(6).hex()}"
        config = consumer_config(self._name, self.after + 1, self.filter)
        body = {"stream_name": self.stream, "config": config}
        for attempt in itertools.count():
            answer = await self._api(f"CONSUMER.CREATE.{self.stream}.{self._name}", body)
            if "error" not in answer:
                return
            if attempt >= 50:
                raise LogUnreachable(f"expected a consumer on {self.stream}, got {answer['error']}")
            await asyncio.sleep(0.1)

    async def _api(self, subject: str, body: dict[str, Any]) -> dict[str, Any]:
        return await jetstream_api(self.connection, subject, body)

    def _room(self) -> int:
        return max(0, self._credit - len(self._messages))

    def _take(self, message: Msg) -> None:
        self._messages.append(message)
        self._news.set()

    def _lose(self, why: str) -> None:
        self._gone = why
        self._news.set()


def consumer_config(name: str, start: int, filter: str) -> dict[str, Any]:
    """Return a reading consumer: no acknowledgements, gone five minutes after its reader."""
    config: dict[str, Any] = {
        "name": name,
        "ack_policy": "none",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": start,
        "inactive_threshold": 300_000_000_000,
        "max_waiting": 16,
        "mem_storage": True,
    }
    if filter != EVERYTHING:
        config["filter_subject"] = filter
    return config


async def jetstream_api(
    connection: Connection, call: str, body: object, timeout: float = 5.0
) -> dict[str, Any]:
    """Ask the JetStream API; an unreachable server answers with an `error` like any other."""
    data = msgspec.json.encode(body) if body is not None else b""
    try:
        reply = await connection.client.request(f"$JS.API.{call}", data, timeout=timeout)
    except (TimeoutError, NatsError, OSError) as problem:
        return {"error": {"code": 503, "err_code": 0, "description": type(problem).__name__}}
    answer: dict[str, Any] = msgspec.json.decode(reply.data)
    return answer
