"""Events a second of the audit that folds a history again and asks every policy at every trigger.

The raw limit beside it: the same stored bytes decoded and nothing else.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.audit import replay
from bench.figures import Report, arguments, machine
from bench.history import History
from events.codec import decode, pieces
from events.envelope import Recorded

Stored = tuple[int, str, bytes]


def _worked() -> float:
    """Seconds of processor time, the other process of a long audit included once it has ended."""
    return sum(os.times()[:4])


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
        for piece in pieces(stored):
            yield [decode(*item) for item in piece]

    began = time.perf_counter()
    decoded = sum(len(page) for page in source())
    raw = decoded / (time.perf_counter() - began)
    began, spent = time.perf_counter(), _worked()
    found = replay(source)
    took, spent = time.perf_counter() - began, _worked() - spent
    if found.divergences:
        raise RuntimeError(f"expected an equal replay, got {found.divergences[:2]}")
    report.row(
        f"audit of {len(stored):,} events",
        len(stored) / took,
        "events/s",
        beside="decoding alone",
        raw=raw,
        goal=">= 50,000/s",
        decisions=kinds["decided"],
        equal=found.equal,
        evaluations=found.evaluations,
        per_processor_second=round(len(stored) / spent),
    )


if __name__ == "__main__":
    main()
