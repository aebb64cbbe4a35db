"""How fast the log of an idle forest grows: the example's four workers, bytes and events by kind, scaled to a day."""

import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import Report, arguments, machine, workdir
from bench.memory import forest
from bench.nodes import running
from events.envelope import Recorded

DAY_S = 86_400
# What a message costs in the stream's files beside its bytes: header, subject, headers, checksum.
OVERHEAD = 22 + 8 + 4
HEADERS = len("NATS/1.0\r\nNats-Msg-Id: \r\n\r\n") + 24


def stored(event: Recorded) -> int:
    """Return what an event takes in the stream's files."""
    return len(event.data) + len(event.subject) + OVERHEAD + HEADERS


def main() -> None:
    """Let a node idle, then count what it wrote after its first minute."""
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    given = parser.parse_args()
    report = Report("log_growth", given.json)
    print(machine(), flush=True)
    with workdir("growth") as folder, running(folder, forest()) as node:
        time.sleep(60.0)
        begin = node.events()[-1].position
        began = time.monotonic()
        time.sleep(given.seconds)
        events = node.events(begin)
        took = time.monotonic() - began
    size = sum(stored(event) for event in events)
    kinds = Counter(event.type for event in events).most_common(5)
    report.row("events a day, four idle workers", len(events) / took * DAY_S, "", seconds=took)
    report.row("stream of a day, four idle workers", size / took * DAY_S / 1e6, "MB", goal="<= 20 MB")
    print("  " + ", ".join(f"{name} {count}" for name, count in kinds), flush=True)


if __name__ == "__main__":
    main()
