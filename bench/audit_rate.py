"""Events a second of the audit that folds a history again and asks every policy at every trigger.

The raw limit beside it: the same stored bytes decoded and nothing else.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.audit import replay
from bench.figures import Report, arguments, machine
from bench.history import PAGE, History
from events.codec import decode
from events.envelope import Recorded

Stored = tuple[int, str, bytes]


def main() -> None:
    """Run all parts and say the figures."""
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    options = parser.parse_args()
    report = Report("audit_rate", options.json)
    print(machine())
    history: list[Recorded] = [event for page in History().pages(options.events) for event in page]
    stored: list[Stored] = [(event.position, event.subject, event.data) for event in history]
    kinds = Counter(event.type for event in history)
    del history

    def source() -> Iterator[Sequence[Recorded]]:
        for start in range(0, len(stored), PAGE):
            yield [decode(*item) for item in stored[start : start + PAGE]]

    began = time.perf_counter()
    decoded = sum(len(page) for page in source())
    raw = decoded / (time.perf_counter() - began)
    began = time.perf_counter()
    found = replay(source)
    took = time.perf_counter() - began
    if found.divergences:
        raise RuntimeError(f"expected an equal replay, got {found.divergences[:2]}")
    report.row(
        f"audit of {len(stored):,} events",
        len(stored) / took,
        "events/s",
        beside="decoding alone",
        raw=raw,
        goal=">= 30,000/s",
        decisions=kinds["decided"],
        equal=found.equal,
        evaluations=found.evaluations,
    )


if __name__ == "__main__":
    main()
