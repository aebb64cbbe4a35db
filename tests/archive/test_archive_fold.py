"""Which tasks hold the stream: open ones, and dead letters until they are dropped, wanted again or old."""

from actors.archivist import DEAD_LETTERS_US
from events.codec import decode, encode
from events.event import Event
from events.log import entry, envelope
from events.observations import HistoryPurged, HistorySealed
from events.tasks import TaskCancelled, TaskDied, TaskDropped, TaskFinished, TaskSubmitted
from projections.archive import Archive, Bound, floor_of


def folded(*bodies: Event) -> Archive:
    """Fold bodies; each is said at its position in seconds."""
    archive = Archive()
    for position, body in enumerate(bodies, 1):
        said = entry(envelope(f"e{position}", position * 1_000_000, "node.n", body))
        archive.apply(decode(position, said.subject, encode(said.envelope)))
    return archive


def submitted(task: str) -> TaskSubmitted:
    return TaskSubmitted(task=task, queue="q")


def died(task: str) -> TaskDied:
    return TaskDied(task=task, queue="q", unit="u", attempts=3, kind="error", error="x")


def test_the_oldest_task_without_an_end_holds() -> None:
    end = TaskFinished(
        task="a", queue="q", unit="u", generation=1, attempt=1, claim=1, result=None, service_ms=1
    )
    assert folded(submitted("a"), submitted("b")).oldest_open(0) == 1
    assert folded(submitted("a"), submitted("b"), end).oldest_open(0) == 2
    assert folded(submitted("a"), TaskCancelled(task="a", queue="q")).oldest_open(0) == 0


def test_a_dead_letter_holds_until_it_is_dropped_or_old() -> None:
    archive = folded(submitted("a"), submitted("b"), died("a"))
    assert archive.oldest_open(3_000_000) == 1
    assert archive.oldest_open(3_000_001) == 2
    assert folded(submitted("a"), died("a"), TaskDropped(task="a", queue="q")).oldest_open(0) == 0
    assert DEAD_LETTERS_US == 7 * 24 * 3600 * 1_000_000


def test_one_that_is_wanted_again_holds_from_its_first_submission() -> None:
    assert folded(submitted("a"), died("a"), submitted("a")).oldest_open(1 << 60) == 1


def test_what_has_left_the_stream_is_remembered_no_longer() -> None:
    archive = folded(submitted("a"), died("a"), submitted("b"), HistoryPurged(below=3, bound="segments"))
    assert (archive.open, archive.dead, archive.purged) == ({"q/b": 3}, {}, 3)


def test_the_lowest_bound_decides_and_is_named() -> None:
    sealed = HistorySealed(first=1, last=9, head="h", sha256="s", size=1)
    assert folded(sealed).sealed == 9
    assert floor_of([Bound("b", 7), Bound("a", 9), Bound("c", 7)]) == Bound("b", 7)
