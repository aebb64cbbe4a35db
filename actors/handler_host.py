"""Runs a user's handler in the user's own interpreter, one call at a time.

Standard library only, Python 3.8 or later. Started as `python handler_host.py <module:function>
<one|batch> <pid of the runner> [<descriptor>:<place>[:<place of the beat>]]` with a SOCK_SEQPACKET socket as
standard input. A datagram is a header (number of the call; 1 when more datagrams of the same text follow) and a
piece of JSON. A request is a list of tasks; each of them is answered for itself under the call's number: `[index,
service_ns, kind, text or result, submit or null]`, kind "" for a result. The first answer, number 0, says whether the
handler could be imported. Under the number NOTICE comes a message, an object that is answered by an object; the
handler's module may have a function `on_message` for it. A request is taken from the socket only when its call
begins, so the runner may take back what still lies there. While a call runs, the names of its tasks stand at that
place of that file: it tells whoever comes after a killed runner what was being executed.
"""

from __future__ import annotations

import _thread
import asyncio
import faulthandler
import gc
import importlib
import inspect
import json
import os
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

HEADER = struct.Struct("!IB")
LENGTH = struct.Struct("!I")
BEAT = struct.Struct("!Q")
BEAT_NAME = "elf-beat"
PIECE = 64 * 1024
RESULT_LIMIT = 256 * 1024
TEXT_LIMIT = 4000
NOTICE = 0xFFFFFFFF


def die_with(runner: int) -> None:
    """Ask the kernel to end this process with the runner; EOF alone does not reach a handler that is busy."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return
    if os.getppid() != runner:
        os._exit(0)


def take_socket() -> socket.socket:
    """Move the protocol away from the standard streams; what a handler prints goes to the unit's log."""
    channel = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return channel


def receive(channel: socket.socket) -> tuple[int, bytes]:
    """Take one whole request. Raises EOFError when the runner is gone."""
    pieces = []
    while True:
        data = channel.recv(PIECE + HEADER.size)
        if not data:
            raise EOFError
        number, more = HEADER.unpack_from(data)
        pieces.append(data[HEADER.size :])
        if not more:
            return number, pieces[0] if len(pieces) == 1 else b"".join(pieces)


def send(channel: socket.socket, number: int, text: bytes) -> None:
    """Send one answer, in pieces when it is long."""
    if len(text) <= PIECE:
        channel.send(HEADER.pack(number, 0) + text)
        return
    for start in range(0, len(text), PIECE):
        more = start + PIECE < len(text)
        channel.send(HEADER.pack(number, more) + text[start : start + PIECE])


def load(name: str) -> Callable[[Any], Any]:
    """Import `module:function`. Raises what the import raises, and TypeError for what cannot be called."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"expected a function, got {type(found).__name__}")
    if not inspect.iscoroutinefunction(found):
        return found  # type: ignore[no-any-return]
    return lambda tasks: asyncio.run(found(tasks))


def told(problem: BaseException) -> bytes:
    """Return `Type: text (file:line in function)` as JSON; never the values of variables."""
    text = traceback.format_exception_only(type(problem), problem)[-1].strip()
    where = _where(traceback.extract_tb(problem.__traceback__)[1:])
    return as_text(text[: TEXT_LIMIT - len(where)] + where)


def _where(frames: Sequence[traceback.FrameSummary]) -> str:
    """Return the innermost place in the worker's own folder, else in any file: a library's inside explains little."""
    machinery = ("<", os.path.dirname(importlib.__file__), __file__)
    files = [frame for frame in frames if not frame.filename.startswith(machinery)]
    home = sys.path[0].rstrip(os.sep) + os.sep
    own = [one for one in files if one.filename.startswith(home) and "site-packages" not in one.filename]
    shown = (own or files)[-1:]
    return "".join(f" ({one.filename}:{one.lineno} in {one.name})" for one in shown)


def as_text(text: str) -> bytes:
    """Return any text as JSON, unpaired surrogates replaced."""
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False).encode()


def answer_of(value: Any) -> tuple[str, bytes, bytes]:
    """Return kind, result and subtasks of one returned value."""
    if value is None:
        return "", b"null", b"null"
    submit = b"null"
    try:
        if isinstance(value, dict) and "submit" in value:
            submit = as_json(value["submit"])
            value = {key: item for key, item in value.items() if key != "submit"}
        result = as_json(value)
    except (TypeError, ValueError, RecursionError) as problem:
        text = f"expected a result that JSON can say, got {problem}"
        return "garbage", as_text(text[:TEXT_LIMIT]), b"null"
    if len(result) > RESULT_LIMIT:
        text = f"expected a result of at most {RESULT_LIMIT} bytes, got {len(result)}"
        return "garbage", as_text(f"{text}; try to write a file and return its path"), b"null"
    return "", result, submit


def as_json(value: Any) -> bytes:
    """Return JSON without NaN. Raises TypeError, ValueError or RecursionError."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def call(handler: Callable[[Any], Any], tasks: list[Any], batch: bool) -> list[tuple[str, bytes, bytes]]:
    """Run one call; one answer for each task."""
    try:
        value = handler(tasks if batch else tasks[0])
    except BaseException as problem:
        return [("error", told(problem), b"null")] * len(tasks)
    if batch and isinstance(value, list) and len(value) == len(tasks):
        return [answer_of(one) for one in value]
    return [answer_of(value)] * len(tasks)


def mark_at(place: str) -> Callable[[list[Any]], None]:
    """Return what writes down which tasks are being executed, at `<descriptor>:<place>`."""
    if not place:
        return lambda _: None
    file, start = (int(part) for part in place.split(":")[:2])
    os.set_inheritable(file, False)

    def mark(tasks: list[Any]) -> None:
        text = "\n".join([task["id"] for task in tasks]).encode()
        os.pwrite(file, LENGTH.pack(len(text)) + text, start)

    return mark


def beat_at(place: str) -> None:
    """Let a thread write the time every second at `<descriptor>:<place>:<place of the beat>`.

    It needs the interpreter for that: while a call holds it and does not return, there is no beat.
    """
    if place.count(":") != 2:
        return
    file, _, at = (int(part) for part in place.split(":"))

    def beat() -> None:
        try:
            with open(f"/proc/self/task/{_thread.get_native_id()}/comm", "w", encoding="ascii") as name:
                name.write(BEAT_NAME)
        except (OSError, AttributeError):
            pass
        while True:
            os.pwrite(file, BEAT.pack(time.monotonic_ns()), at)
            time.sleep(1.0)

    _thread.start_new_thread(beat, ())


def heed(name: str, message: dict[str, Any]) -> dict[str, Any]:
    """Do what a message asks for and pass it on to the handler's module; what that raises stands in the unit's log."""
    answer: dict[str, Any] = {"ok": True, "told": False}
    if message.get("do") == "gc":
        answer.update(collect())
    hook = getattr(sys.modules.get(name.partition(":")[0]), "on_message", None)
    if callable(hook):
        answer["told"] = True
        try:
            said = hook(message)
            if inspect.iscoroutine(said):
                asyncio.run(said)
        except BaseException as problem:
            traceback.print_exc()
            answer.update(ok=False, error=json.loads(told(problem)))
    return answer


def collect() -> dict[str, int]:
    """Collect garbage and give free memory back to the kernel; resident bytes before and after."""
    before = resident()
    found = gc.collect()
    try:
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
    except (ImportError, OSError, AttributeError):
        pass
    return {"before": before, "after": resident(), "found": found}


def resident() -> int:
    """Return the memory of this process that lies in RAM, in bytes; 0 where it cannot be known."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def serve(
    channel: socket.socket,
    name: str,
    handler: Callable[[Any], Any],
    batch: bool,
    mark: Callable[[list[Any]], None],
) -> None:
    """Answer requests until the runner is gone."""
    clock = time.perf_counter_ns
    while True:
        number, text = receive(channel)
        if number == NOTICE:
            send(channel, NOTICE, as_json(heed(name, json.loads(text))))
            continue
        tasks = json.loads(text)
        mark(tasks)
        begun = clock()
        answers = call(handler, tasks, batch)
        spent = clock() - begun
        mark([])
        for index, (kind, result, submit) in enumerate(answers):
            send(channel, number, b'[%d,%d,"%s",%s,%s]' % (index, spent, kind.encode(), result, submit))


def main() -> int:
    """Import the handler, say how that went, serve."""
    name, mode, runner = sys.argv[1:4]
    die_with(int(runner))
    mark = mark_at(sys.argv[4] if len(sys.argv) > 4 else "")
    channel = take_socket()
    beat_at(sys.argv[4] if len(sys.argv) > 4 else "")
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    sys.path[0] = os.getcwd()
    sys.argv = [name]
    try:
        handler = load(name)
    except BaseException as problem:
        traceback.print_exc()
        send(channel, 0, b'[0,0,"error",%s,null]' % told(problem))
        return 3
    try:
        send(channel, 0, b'[0,0,"",null,null]')
        serve(channel, name, handler, mode == "batch", mark)
    except (EOFError, ConnectionError):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
