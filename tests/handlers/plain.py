"""Handlers that real runners execute; they import json
import nothing of the product."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path


def echo(task):
    return task


def double(task):
    return task["payload"] * 2


def noop(task):
    return None


def nap(task):
    """Take too long for the runner to claim the next ones ahead."""
    time.sleep(0.05)


def shout(task):
    print("out:", task["id"], flush=True)
    sys.stderr.write("err\n")
    os.write(1, b"raw bytes on descriptor 1\n")
    return sys.stdin.read()


def fail_until(task):
    if task["attempt"] < task["payload"]:
        raise ValueError(f"attempt {task['attempt']} is too early")
    return task["attempt"]


def secretive(task):
    password = "do-not-tell"  # noqa: F841
    raise RuntimeError("without it")


def leave(task):
    sys.exit("I leave")


def crash(task):
    if task["payload"] == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task["payload"] == "exit":
        os._exit(7)
    return task["payload"]


def crash_until(task):
    """Die in every attempt before the one that the payload names."""
    print("about to die" if task["attempt"] < task["payload"] else "alive", task["id"], flush=True)
    if task["attempt"] < task["payload"]:
        os.kill(os.getpid(), signal.SIGSEGV)
    return os.getpid()


def kill_runner(task):
    """Take the runner along where the payload says so."""
    if task["payload"] == "kill":
        print("killing the runner, token=s3cret", flush=True)
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(100)
    return task["attempt"]


def mark_and_wait(task):
    """Write a line to the file, then wait until the file `go` beside it exists."""
    path = Path(task["payload"])
    with path.open("a") as file:
        file.write(f"{task['id']} {task['attempt']} {os.getpid()}\n")
    while not path.with_name("go").exists():
        time.sleep(0.005)
    return os.getpid()


def count(task):
    """Write one line for each execution."""
    with open(task["payload"], "a") as file:
        file.write(f"{task['id']}\n")
    return task["id"]


def slow_count(task):
    time.sleep(0.01)
    return count(task)


def hang(task):
    Path(task["payload"]).write_text(str(os.getpid()))
    while True:
        time.sleep(1)


def hang_or_echo(task):
    while task["payload"] == "hang":
        time.sleep(1)
    return task["payload"]


def stuck_in_the_middle():
    while True:
        time.sleep(0.01)


def hang_deep(task):
    stuck_in_the_middle()


def foul(task):
    """Write into whatever socket there is, then go on as if nothing had been."""
    if task["payload"] == "foul":
        for descriptor in range(3, 20):
            try:
                if os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:"):
                    os.write(descriptor, b"these bytes are no answer")
            except OSError:
                pass
    if task["payload"] == "flood":
        for _ in range(400):
            os.write(2, b"x" * 99_999 + b"\n")
    return task["payload"]


def garbage(task):
    return {"nan": float("nan"), "object": object(), "surrogate": "\ud800", "big": "x" * 300_000}[
        task["payload"]
    ]


def split(task):
    return {"parts": len(task["payload"]), "submit": task["payload"]}


def batch(tasks):
    return [[task["id"], len(tasks)] for task in tasks]


def batch_same(tasks):
    return len(tasks)


def batch_fail(tasks):
    if any(task["attempt"] == 1 for task in tasks):
        raise ValueError(f"{len(tasks)} at once")
    return "done"


async def later(task):
    await asyncio.sleep(0)
    return f"later {task['payload']}"


def double_slowly(task):
    time.sleep(0.004)
    return task["payload"] * 2


def parse(task):
    return json.loads(task["payload"])
