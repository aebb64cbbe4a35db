"""What an agent runs for one task in the tests: reads it, takes its time, answers or fails as it is told."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    """Do one task."""
    given = argparse.ArgumentParser()
    given.add_argument("--takes", type=float, default=0.0)
    given.add_argument("--fail-every", type=int, default=0)
    given.add_argument("--count", type=Path)
    given.add_argument("--gate", type=Path)
    options = given.parse_args()
    task = json.load(sys.stdin)
    payload = task["payload"] or {}
    if options.count:
        with options.count.open("a") as file:
            file.write(f"{task['id']}\n")
    if options.gate:
        while options.gate.exists():
            options.gate.with_suffix(f".{task['id']}").touch()
            time.sleep(0.005)
    if payload.get("leaves"):
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    if payload.get("artefact"):
        Path(payload["artefact"]).write_text(payload.get("holds", "done"))
    if payload.get("wait_for"):
        while not Path(payload["wait_for"]).exists():
            time.sleep(0.005)
    time.sleep(payload.get("takes", options.takes))
    if options.fail_every and options.count and _lines(options.count) % options.fail_every == 0:
        print("one of ten fails", file=sys.stderr)
        return 3
    if payload.get("fails"):
        print(payload["fails"], file=sys.stderr)
        return 4
    if payload.get("size"):
        print("x" * payload["size"])
        return 0
    answer = {
        "id": task["id"],
        "pid": os.getpid(),
        "attempt": task["attempt"],
        "hand_over": task["hand_over"],
    }
    print(json.dumps(answer | payload.get("answer", {})))
    return 0


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


if __name__ == "__main__":
    sys.exit(main())
