"""Taking from a queue by class: high before middle before low, and of what has waited long every eighth task."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from functools import partial

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from actors.connection import Connection
from actors.runner_jobs import job_of
from events.subjects import CLASSES, LOG, queue_consumer

# While something of a lower class has waited for too long, one of so many tasks is taken from there.
_TURN = 8
_EXPIRES_S = 20.0
# The server answers at once, also when there is nothing; a class that does not is passed over for a while.
_SILENT_S = 2.0
_PASSED_OVER_S = 10.0
_GONE_S = 0.4
_CROWDED_S = 0.2


class _Line:
    """One class. `asked` messages are on order; `dry` says that the order stands because nothing waits.

    `looking` is an order for one, to see how long the first has waited; `aged_at` is before when (seconds since 1970)
    it cannot have waited for too long, `absent` until when (loop time) it is passed over. An answer of the server
    carries the `era` of its order: one that was given up counts for nothing.
    """

    def __init__(self, rank: int, consumer: str) -> None:
        self.rank = rank
        self.subject = f"$JS.API.CONSUMER.MSG.NEXT.{LOG}.{consumer}"
        self.inbox = ""
        self.era = 0
        self.asked = 0
        self.dry = False
        self.looking = False
        self.aged_at = 0.0
        self.absent = 0.0
        self.watch: asyncio.TimerHandle | None = None
        self.subscription: Subscription | None = None

    def forget(self) -> None:
        """Give up what is on order; what still comes of it is taken all the same."""
        self.era += 1
        self.asked = 0
        self.dry = self.looking = False
        if self.watch:
            self.watch.cancel()


class Pulls:
    """Orders messages of one queue's classes and hands each over on the loop thread.

    A class is asked for what is there; only one that has nothing gets a standing order, and only then the next one is
    asked. So while a higher class has something, nothing is ordered of a lower one, and who has nothing to do hears
    of every class at once. Standing orders of several classes may bring more than the `credit`: `deliver` copes.
    """

    def __init__(
        self,
        connection: Connection,
        queue: str,
        age_s: float,
        deliver: Callable[[Msg], bool],
        hand_back: Callable[[Msg], None],
        credit: Callable[[], int],
        lost: Callable[[str], None],
    ) -> None:
        """`credit()` says how many more the owner can take at once, `deliver` whether it has taken a task.

        `hand_back` gets what was looked at and has not waited for `age_s`. `lost` is told when a consumer is gone.
        """
        self._connection = connection
        self._age_s = age_s
        self._deliver = deliver
        self._hand_back = hand_back
        self._credit = credit
        self._lost = lost
        self._lines = [_Line(rank, queue_consumer(queue, rank)) for rank in range(len(CLASSES))]
        self._taken = 0
        self._arrived: list[tuple[int, Msg]] = []
        self._started = False
        self._loop = asyncio.get_running_loop()
        self._forget: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Subscribe and place the first order."""
        client = self._connection.client
        for line in self._lines:
            line.inbox = client.new_inbox()
            line.subscription = await client.subscribe(
                f"{line.inbox}.*",
                cb=partial(self._received, line),
                pending_msgs_limit=1_000_000,
                pending_bytes_limit=1 << 30,
            )
        self._started = True
        self._forget = self._connection.on_reconnect(self._start_over)
        self.order()

    async def stop(self, orderly: bool = False) -> None:
        """Stop ordering. What is on its way is still delivered if `orderly`, else dropped and redelivered."""
        self._started = False
        self._forget()
        for line in self._lines:
            line.forget()
        await asyncio.gather(*(self._unsubscribe(line, orderly) for line in self._lines))
        self._pass_on()

    async def _unsubscribe(self, line: _Line, orderly: bool) -> None:
        subscription, line.subscription = line.subscription, None
        if subscription:
            await self._connection.let_go(subscription, orderly)

    def order(self) -> None:
        """Ask the classes in order for what the owner has room for, until one has not said that it has nothing."""
        if not self._started or (credit := self._credit() - len(self._arrived)) <= 0:
            return
        credit -= self._look(credit)
        for line in self._lines:
            if credit <= 0:
                return
            if line.absent > self._loop.time():
                continue
            if line.looking:
                return
            missing = credit - line.asked
            if missing > 0 and (line.asked == 0 or missing >= max(1, credit // 2)):
                self._ask(line, missing, line.dry)
            if not line.dry:
                return

    def _look(self, credit: int) -> int:
        """Look, when its turn has come, at the first of a class that may have waited for too long.

        Returns how much of the credit is kept for it: one, or everything until a class is looked at for the first time.
        """
        looking = next((line for line in self._lines if line.looking), None)
        if looking:
            return 1 if looking.aged_at else credit
        if self._taken < _TURN:
            return 0
        now = time.time()
        for line in reversed(self._lines[1:]):
            if not (line.asked or line.dry or line.aged_at > now or line.absent > self._loop.time()):
                self._taken -= _TURN
                line.looking = True
                self._ask(line, 1, False)
                return 1 if line.aged_at else credit
        self._taken = _TURN
        return 0

    def _ask(self, line: _Line, count: int, stand: bool) -> None:
        line.asked += count
        if stand:
            body = json.dumps({"batch": count, "expires": int(_EXPIRES_S * 1e9)}).encode()
        else:
            body = json.dumps({"batch": count, "no_wait": True}).encode()
        task = self._loop.create_task(self._publish(line.subject, body, f"{line.inbox}.{line.era}"))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if line.watch:
            line.watch.cancel()
        line.watch = self._loop.call_later(_EXPIRES_S + 2.0 if stand else _SILENT_S, self._silent, line)

    async def _publish(self, subject: str, body: bytes, reply: str) -> None:
        with contextlib.suppress(Exception):
            await self._connection.client.publish(subject, body, reply=reply)

    def _silent(self, line: _Line) -> None:
        if line.asked and not line.dry:
            line.absent = self._loop.time() + _PASSED_OVER_S
        line.forget()
        self.order()

    def _start_over(self) -> None:
        for line in self._lines:
            line.forget()
            line.absent = 0.0
        self.order()

    async def _received(self, line: _Line, message: Msg) -> None:
        headers = message.headers
        line.absent = 0.0
        if headers and "Status" in headers and not message.reply:
            if message.subject == f"{line.inbox}.{line.era}":
                self._status(line, headers)
            return
        line.asked = max(0, line.asked - 1)
        if line.asked == 0:
            line.dry = False
        if line.looking and self._is_young(line, message):
            self._hand_back(message)
            self.order()
            return
        # What arrives together is handed over by class.
        if not self._arrived:
            self._loop.call_soon(self._pass_on)
        self._arrived.append((line.rank, message))

    def _pass_on(self) -> None:
        arrived, self._arrived = self._arrived, []
        for _, message in sorted(arrived, key=lambda one: one[0]):
            self._taken += self._deliver(message)
        self.order()

    def _is_young(self, line: _Line, message: Msg) -> bool:
        """Tell, of what was looked at, whether it has to wait for the higher classes; what is not due does not wait."""
        line.looking = False
        now = time.time()
        job = job_of(message.data, message.reply, 0.0)
        if job is None or job.due / 1e6 > now:
            return False
        line.aged_at = max(int(message.reply.split(".")[7]) / 1e9, job.due / 1e6) + self._age_s
        return line.aged_at > now and not all(upper.dry for upper in self._lines[: line.rank])

    def _status(self, line: _Line, headers: dict[str, str]) -> None:
        status = headers.get("Status", "")
        if status == "100":
            return
        text = next((value for key, value in headers.items() if str(key) == "Description"), "")
        if status in ("404", "408"):
            self._nothing(line, int(headers.get("Nats-Pending-Messages", "0") or 0))
        elif "Exceeded" in text or status == "400":
            line.forget()
            self._loop.call_later(_CROWDED_S, self.order)
        else:
            line.forget()
            line.absent = self._loop.time() + _GONE_S
            self._lost(f"{status} {text}".strip())
            self._loop.call_soon(self.order)

    def _nothing(self, line: _Line, left: int) -> None:
        """A class has nothing more: let an order stand there, and go on to the next one."""
        if not line.dry:
            line.forget()
            line.aged_at = time.time() + self._age_s
        else:
            line.asked = max(0, line.asked - left)
        # It has nothing now; without an order that stands nobody would say when that changes.
        line.dry = True
        self.order()
        line.dry = line.asked > 0
