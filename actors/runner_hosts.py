"""All handler hosts of a runner: which gets the next call, what an answer, a time-out and a crash mean."""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Raw

from actors.runner_children import ending
from actors.runner_dump import DUMP_S, frame_since, log_end
from actors.runner_host import NOTICE, NOTICE_S, Doom, Host, Parcel, Told
from actors.runner_jobs import LASTING_S, Job, Lasting, Outcome, Pace, request_of
from actors.runner_marks import Marks
from actors.runner_post import tell

_PROGRAM = str(Path(__file__).with_name("handler_host.py"))
# A call waits this long for its batch to fill.
_FILL_S = 0.02

_NULL = Raw(b"null")

Done = Callable[[Job, Outcome], None]

_answer = msgspec.json.Decoder(tuple[int, int, str, Raw, Raw])


class Hosts:
    """The hosts of a runner. `done` gets each outcome, `back` what never began, `free` hears of new room."""

    def __init__(
        self,
        command: tuple[str, ...],
        handler: tuple[str, str],
        size: tuple[int, int],
        limit_s: float,
        pace: Pace,
        done: Done,
        back: Callable[[list[Job]], None],
        free: Callable[[], None],
        fatal: Callable[[str], None],
        marks: Marks | None = None,
    ) -> None:
        """`command` is the interpreter behind what confines it, `handler` `module:function` and folder.

        `size` counts the hosts and the tasks of one call.
        """
        self._command = command
        self._handler = handler
        self._count, self._batch = size
        self._limit_s = limit_s
        self._pace = pace
        self._done = done
        self._back = back
        self._free = free
        self._fatal = fatal
        self._marks = marks
        self._hosts: list[Host] = []
        self._number = 0
        self._closing = False
        self._up = asyncio.Event()
        self._fill: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def spawn(self) -> None:
        """Start the hosts; they import the handler while the runner goes on."""
        for _ in range(self._count):
            self._spawn()

    async def started(self) -> None:
        """Wait until every first host has imported the handler."""
        await self._up.wait()

    async def renew(self) -> None:
        """Replace every host by a fresh one; nothing must be running."""
        self._up.clear()
        for host in list(self._hosts):
            if host.ready:
                self._end(host, Doom(""))
        await self._up.wait()

    @property
    def pids(self) -> list[int]:
        """The processes that live."""
        return [host.child.pid for host in self._hosts if host.child.lives]

    def running(self) -> list[tuple[Job, float]]:
        """Return the tasks being executed and since when, in monotonic seconds."""
        return [(job, h.parcels[0].begun) for h in self._hosts if h.parcels for job in h.parcels[0].jobs]

    def lasting(self) -> list[Lasting]:
        """Return who has been executing something for long."""
        now = self._loop.time()
        return [
            (host.child.pid, int((now - host.parcels[0].begun) * 1000), self._silence(host, now))
            for host in self._hosts
            if host.parcels and now - host.parcels[0].begun >= LASTING_S
        ]

    def _silence(self, host: Host, now: float) -> int:
        last = self._marks.beat_at(host.slot) if self._marks else 0.0
        return max(0, int((now - last) * 1000)) if last else -1

    def pump(self, ready: deque[Job]) -> None:
        """Hand over from the left of `ready` as much as the hosts should have."""
        depth = self._pace.depth()
        if not ready and self._count > 1:
            self._level()
        open_ones = [h for h in self._hosts if h.ready and not h.doom and not h.full and not h.notices]
        hosts = [host for host in open_ones if len(host.parcels) < depth]
        while ready and hosts:
            if self._batch > 1 and len(ready) < self._batch and self._waits(ready[0]):
                return
            host = min(hosts, key=lambda one: len(one.parcels)) if len(hosts) > 1 else hosts[0]
            jobs = [ready.popleft() for _ in range(min(self._batch, len(ready)))]
            if not self._send(host, jobs):
                ready.extendleft(reversed(jobs))
            if host.full or len(host.parcels) >= depth:
                hosts.remove(host)

    def take_back(self) -> list[Job]:
        """Return the tasks that no handler has seen yet, oldest first."""
        return [job for host in self._hosts for job in self._unbegun(host)]

    def drop(self, job: Job) -> bool:
        """Stop a task that nobody wants any more; False when its batch goes on with it."""
        for host in self._hosts:
            if not any(job in parcel.jobs for parcel in host.parcels):
                continue
            others = self._unbegun(host)
            if job in others:
                others.remove(job)
                self._back(others)
                return True
            self._back(others)
            if len(host.parcels[0].jobs) == 1:
                # Also where it is being ended for another reason: nobody waits for an outcome any more.
                host.doom = Doom("")
                host.child.kill()
                return True
            return False
        return False

    def give_up(self, text: str) -> None:
        """Kill what runs; its tasks end as `exit`."""
        for host in self._hosts:
            self._end(host, Doom("exit", text))

    async def notice(self, message: Told, every: bool = False) -> list[Told]:
        """Give a message to the first host, or to every one, at its next task edge; returns their answers."""
        deadline = self._loop.time() + NOTICE_S
        while not (hosts := [host for host in self._hosts if host.ready and not host.doom]):
            if self._closing or self._loop.time() > deadline:
                return [{"ok": False, "error": "no process of the handler came up"}]
            await asyncio.sleep(0.05)
        return list(await asyncio.gather(*(host.notice(message) for host in hosts[: None if every else 1])))

    async def close(self, grace_s: float) -> None:
        """End the hosts: end of file first, then by force."""
        self._closing = True
        for host in self._hosts:
            host.close()
        deadline = self._loop.time() + grace_s
        while self.pids and self._loop.time() < deadline + 1:
            if self._loop.time() >= deadline:
                for host in self._hosts:
                    host.child.kill()
            await asyncio.sleep(0.005)

    def _spawn(self) -> None:
        if self._closing:
            return
        name, cwd = self._handler
        mode = "batch" if self._batch > 1 else "one"
        argv = [*self._command, _PROGRAM, name, mode, str(os.getpid())]
        slot = min(set(range(self._count)) - {host.slot for host in self._hosts})
        if self._marks:
            marks = self._marks
            marks.forget_beat(slot)
            argv.append(f"{marks.descriptor}:{marks.place(slot)}:{marks.beat_place(slot)}")
        try:
            host = Host(argv, cwd, self._ended, slot, [self._marks.descriptor] if self._marks else [])
        except OSError as problem:
            self._fatal(f"expected to start {self._command[-1]}, got {problem}")
            return
        self._hosts.append(host)
        self._loop.add_reader(host.channel, self._readable, host)

    def _waits(self, first: Job) -> bool:
        """Whether a batch that is not full should wait a little longer; then a timer is running."""
        rest = first.since + _FILL_S - self._loop.time()
        if rest <= 0:
            return False
        if self._fill is None or self._fill.when() <= self._loop.time():
            self._fill = self._loop.call_later(rest, self._free)
        return True

    def _level(self) -> None:
        """With a host idle and others with calls in waiting, take those back; the next pump spreads them."""
        if all(host.parcels for host in self._hosts if host.ready):
            return
        longest = max(self._hosts, key=lambda host: len(host.parcels))
        if len(longest.parcels) > 1:
            self._back(self._unbegun(longest))

    def _send(self, host: Host, jobs: list[Job]) -> bool:
        number = self._number + 1
        pieces = host.send(number, request_of(jobs))
        # After a long call, or with a full socket, only an answer makes room.
        host.full = pieces != 1
        if not pieces:
            return False
        self._number = number
        host.parcels.append(Parcel(number, jobs, pieces, self._loop.time()))
        for job in jobs:
            job.state = "running"
        if len(host.parcels) == 1:
            self._arm(host)
        return True

    def _readable(self, host: Host) -> None:
        self._read(host)
        self._free()

    def _read(self, host: Host) -> None:
        if host.doom and host.doom.kind == "garbage":
            return  # What follows cannot be trusted either.
        for number, text in host.answers():
            if number and host.parcels and number == host.parcels[0].number:
                self._answered(host, text)
            elif number == NOTICE and host.answered(text):
                continue
            elif number == 0 and not host.ready:
                self._imported(host, text)
            else:
                self._end(
                    host, Doom("garbage", "expected answers on the handler's socket, got something else")
                )
                return

    def _imported(self, host: Host, text: bytes) -> None:
        try:
            _, _, kind, problem, _ = _answer.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            kind, problem = "garbage", Raw(b'"its first answer is no JSON"')
        if kind:
            self._closing = True
            self._fatal(f"the handler {self._handler[0]} cannot be imported: {msgspec.json.decode(problem)}")
            return
        host.ready = True
        if len(self._hosts) == self._count and all(one.ready and not one.doom for one in self._hosts):
            self._up.set()

    def _answered(self, host: Host, text: bytes) -> None:
        parcel = host.parcels[0]
        job = parcel.jobs[parcel.answered]
        service = 0.0
        try:
            _, spent, kind, value, submit = _answer.decode(text)
            service = spent / 1e9
            if kind:
                outcome = Outcome(kind, msgspec.json.decode(value, type=str), service_s=service)
            else:
                msgspec.json.decode(value)
                outcome = Outcome("", "", value, submit, service)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            outcome = Outcome("garbage", f"expected JSON, got {problem}", service_s=service)
        parcel.answered += 1
        if parcel.answered == len(parcel.jobs):
            host.parcels.popleft()
            host.full = False
            if host.parcels:
                host.parcels[0].begun = self._loop.time()
                self._arm(host)
            else:
                host.turn()
            self._pace.observe(service / len(parcel.jobs))
        self._done(job, outcome)

    def _limit(self, parcel: Parcel) -> float:
        return max(job.timeout_s or self._limit_s for job in parcel.jobs)

    def _arm(self, host: Host) -> None:
        """See that the host's one timer rings in time for the call in front; too early is put right then."""
        over = host.parcels[0].begun + self._limit(host.parcels[0])
        if host.timer is None or host.timer.when() > over:
            if host.timer:
                host.timer.cancel()
            host.timer = self._loop.call_at(over, self._watch, host)

    def _watch(self, host: Host) -> None:
        """Look at the call in front when its time may be over."""
        host.timer = None
        if not host.parcels or host.doom:
            return
        front = host.parcels[0]
        limit = self._limit(front)
        if front.begun + limit <= self._loop.time():
            self._read(host)  # An answer may lie there while this process was held up.
            if host.parcels and host.parcels[0] is front:
                self._expire(host, f"expected an end within {limit:g} s, got none")
                return
        if host.parcels:
            self._arm(host)

    def _expire(self, host: Host, text: str) -> None:
        """Ask a host that hangs where it does, then kill it."""
        host.doom = Doom("timeout", text)
        start = log_end()
        host.child.signal(signal.SIGUSR1)

        def kill() -> None:
            if host in self._hosts and host.doom and host.doom.kind:
                frame = frame_since(start)
                host.doom = Doom("timeout", f"{text}; it hangs in {frame}" if frame else text)
                host.child.kill()

        self._loop.call_later(DUMP_S, kill)

    def _end(self, host: Host, doom: Doom) -> None:
        if host.doom is None and host.child.lives:
            host.doom = doom
            host.child.kill()

    def _unbegun(self, host: Host) -> list[Job]:
        if not host.parcels or host.parcels[0].pieces > 1:
            return []
        numbers = host.unread()
        taken = [parcel for parcel in host.parcels if parcel.number in numbers]
        for parcel in taken:
            host.parcels.remove(parcel)
        return [job for parcel in taken for job in parcel.jobs]

    def _ended(self, host: Host, code: int) -> None:
        """Settle what the host leaves: answers first, then what it never took, then the call it was in."""
        self._hosts.remove(host)
        if self._marks:
            self._marks.write(host.slot, ())
        if self._closing:
            return
        while host.parcels:
            before = len(host.parcels), host.parcels[0].answered
            self._read(host)
            if before == (len(host.parcels), host.parcels[0].answered if host.parcels else 0):
                break
        unread = host.unread()
        host.close()
        back = []
        doom = host.doom or Doom("")
        for place, parcel in enumerate(host.parcels):
            # Whose words were foul is the call in front; what came behind it is executed again under its claim.
            foul = place > 0 and doom.kind == "garbage"
            if foul or unread.get(parcel.number, 0) + len(host.unsent) == parcel.pieces:
                back.extend(parcel.jobs)
                continue
            kind, text = doom.kind or "crash", doom.text or f"the handler's process ended: {ending(code)}"
            service = self._loop.time() - parcel.begun
            child = host.child
            outcome = Outcome(kind, text, _NULL, _NULL, service, child.pid, code, child.memory)
            for job in parcel.jobs[parcel.answered :]:
                if not (host.doom and not doom.kind):
                    self._done(job, outcome)
        self._back(back)
        if not host.ready:
            self._fatal(f"the handler {self._handler[0]} did not come up: {ending(code)}")
            return
        if host.doom:
            self._spawn()
        else:
            tell(f"handler process {host.child.pid} ended: {ending(code)}; a new one starts")
            # One that dies without work would otherwise be started again and again.
            self._loop.call_later(0 if host.parcels else 0.2, self._spawn)
        self._free()
