"""One program for each task: the task as JSON on its standard input, its answer on standard output."""

import asyncio
import contextlib
import os
import subprocess
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from actors.runner_children import Child, ending
from actors.runner_host import Doom
from actors.runner_hosts import Done
from actors.runner_jobs import LASTING_S, RESULT_LIMIT, Job, Lasting, Outcome, Pace, request_of
from actors.runner_marks import Marks

_CHUNK = 64 * 1024
_TAIL = 4000


class Program:
    """One process at its task; keeps its answer and the end of what it complained."""

    def __init__(
        self,
        argv: tuple[str, ...],
        cwd: str,
        job: Job,
        ended: Callable[["Program", int], None],
        slot: int = 0,
    ) -> None:
        self.job = job
        self.slot = slot
        self.answer = bytearray()
        self.complaint = b""
        self.doom: Doom | None = None
        self.timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self.begun = self._loop.time()
        # A file in memory as standard input: nothing to write later, and no deadlock with what it writes.
        task = os.memfd_create("task")
        os.write(task, request_of([job])[1:-1])
        os.lseek(task, 0, os.SEEK_SET)
        try:
            self.child = Child(
                argv,
                cwd,
                lambda code: ended(self, code),
                stdin=task,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"TRACEPARENT": job.trace} if job.trace else None,
            )
        finally:
            os.close(task)
        assert self.child.popen.stdout is not None
        assert self.child.popen.stderr is not None
        self._out, self._err = self.child.popen.stdout, self.child.popen.stderr
        for stream, take in ((self._out, self.read_answer), (self._err, self.read_complaint)):
            os.set_blocking(stream.fileno(), False)
            self._loop.add_reader(stream, take)

    def read_answer(self) -> bool:
        """Take what is on standard output, beyond the limit only its length; False when there is nothing."""
        data = _read(self._out.fileno())
        if data is None:
            return False
        if not data:
            self._loop.remove_reader(self._out)
            return False
        if len(self.answer) <= RESULT_LIMIT:
            self.answer += data
        return True

    def read_complaint(self) -> bool:
        """Pass standard error on to the unit's log and keep its end."""
        data = _read(self._err.fileno())
        if data is None:
            return False
        if not data:
            self._loop.remove_reader(self._err)
            return False
        with contextlib.suppress(OSError):  # a full disk must not end the runner
            os.write(2, data)
        self.complaint = (self.complaint + data)[-_TAIL:]
        return True

    def close(self) -> None:
        """Read the rest and let go; a descendant that still holds a stream is not waited for."""
        while self.read_answer() and len(self.answer) <= RESULT_LIMIT:
            pass
        for _ in range(16):
            if not self.read_complaint():
                break
        for stream in (self._out, self._err):
            self._loop.remove_reader(stream)
            stream.close()
        if self.timer:
            self.timer.cancel()


class Programs:
    """Runs each task's program, `count` at a time. The same duties as `runner_hosts.Hosts`."""

    def __init__(
        self,
        argv: tuple[str, ...],
        cwd: str,
        count: int,
        limit_s: float,
        pace: Pace,
        done: Done,
        free: Callable[[], None],
        fatal: Callable[[str], None],
        marks: Marks | None = None,
    ) -> None:
        self._argv = argv
        self._cwd = cwd
        self._count = count
        self._limit_s = limit_s
        self._pace = pace
        self._done = done
        self._free = free
        self._fatal = fatal
        self._marks = marks
        self._programs: list[Program] = []
        self._closing = False
        self._gone = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def spawn(self) -> None:
        """Nothing runs before there is a task."""

    async def started(self) -> None:
        """Ready at once."""

    async def renew(self) -> None:
        """Every program is a fresh one."""

    @property
    def pids(self) -> list[int]:
        """The processes that live."""
        return [one.child.pid for one in self._programs]

    def running(self) -> list[tuple[Job, float]]:
        """Return the tasks being executed and since when, in monotonic seconds."""
        return [(one.job, one.begun) for one in self._programs]

    def lasting(self) -> list[Lasting]:
        """Return who has been executing something for long; such a program gives no beat."""
        now = self._loop.time()
        return [
            (one.child.pid, int((now - one.begun) * 1000), -1)
            for one in self._programs
            if now - one.begun >= LASTING_S
        ]

    def pump(self, ready: deque[Job]) -> None:
        """Start programs for the left of `ready`."""
        while ready and len(self._programs) < self._count and not self._closing:
            job = ready[0]
            slot = min(set(range(self._count)) - {one.slot for one in self._programs})
            if self._marks:
                self._marks.write(slot, [job.task])
            try:
                program = Program(self._argv, self._cwd, job, self._ended, slot)
            except OSError as problem:
                self._closing = True
                self._fatal(f"expected to start {self._argv[0]}, got {problem}")
                return
            ready.popleft()
            job.state = "running"
            limit = job.timeout_s or self._limit_s
            program.timer = self._loop.call_later(limit, self._over, program, limit)
            self._programs.append(program)

    def take_back(self) -> list[Job]:
        """Return nothing: a task that was handed over has begun."""
        return []

    def drop(self, job: Job) -> bool:
        """Kill the program of a task that nobody wants any more."""
        for program in self._programs:
            if program.job is job:
                _end(program, Doom(""))
                return True
        return False

    def give_up(self, text: str) -> None:
        """Kill what runs; its tasks end as `exit`."""
        for program in self._programs:
            _end(program, Doom("exit", text))

    async def notice(self, message: dict[str, Any], every: bool = False) -> list[dict[str, Any]]:
        """Nobody lives between two tasks who could be told."""
        return []

    async def close(self, grace_s: float) -> None:
        """End what runs."""
        self._closing = True
        for program in self._programs:
            program.child.kill()
        if self._programs:
            self._gone.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), grace_s + 1)

    def _over(self, program: Program, limit: float) -> None:
        _end(program, Doom("timeout", f"expected an end within {limit:g} s, got none"))

    def _ended(self, program: Program, code: int) -> None:
        program.close()
        self._programs.remove(program)
        if self._marks:
            self._marks.write(program.slot, ())
        if not self._programs:
            self._gone.set()
        if self._closing:
            return
        spent = self._loop.time() - program.begun
        self._pace.observe(spent)
        doom = program.doom
        if doom is None:
            outcome = outcome_of(code, bytes(program.answer), program.complaint, spent)
            child = program.child
            self._done(program.job, replace(outcome, pid=child.pid, code=code, memory=child.memory))
        elif doom.kind:
            self._done(program.job, Outcome(doom.kind, doom.text, service_s=spent))
        self._free()


def outcome_of(code: int, answer: bytes, complaint: bytes, spent: float) -> Outcome:
    """Read an answer: JSON, else plain text; what a failed program said last is its error."""
    if code:
        said = complaint.decode("utf-8", "replace").strip()
        kind: Literal["crash", "error"] = "crash" if code < 0 else "error"
        return Outcome(kind, f"{ending(code)}: {said}" if said else ending(code), service_s=spent)
    if len(answer) > RESULT_LIMIT:
        text = f"expected an answer of at most {RESULT_LIMIT} bytes, got more; try to print a file's path"
        return Outcome("garbage", text, service_s=spent)
    answer = answer.strip() or b"null"
    try:
        value: Any = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = answer.decode("utf-8", "replace")
        return Outcome(result=Raw(msgspec.json.encode(value)), service_s=spent)
    if isinstance(value, dict) and "submit" in value:
        submit = Raw(msgspec.json.encode(value.pop("submit")))
        return Outcome(result=Raw(msgspec.json.encode(value)), submit=submit, service_s=spent)
    return Outcome(result=Raw(answer), service_s=spent)


def _end(program: Program, doom: Doom) -> None:
    if program.doom is None and program.child.lives:
        program.doom = doom
        program.child.kill()


def _read(descriptor: int) -> bytes | None:
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return None
