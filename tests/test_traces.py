"""W3C trace context: which texts are one."""

import pytest

from events.codec import decode, encode
from events.envelope import Envelope, Unknown
from events.tasks import TaskCancelled
from events.traces import trace_id, traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GOOD = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.mark.parametrize("text", [GOOD, GOOD[:-1] + "0", f"cc{GOOD[2:]}", f"cc{GOOD[2:]}-what-comes-later"])
def test_a_traceparent_is_kept_as_it_is_and_names_its_trace(text: str) -> None:
    assert traceparent(text) == text
    assert trace_id(text) == TRACE


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", GOOD[1:], GOOD + "0", GOOD.upper(), GOOD + "-more", f"ff{GOOD[2:]}", GOOD + "\n"),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"cc{GOOD[2:]}-{'x' * 100}",
    ],
)
def test_what_is_none_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected --traceparent as 00-[^\n]*$"):
        traceparent(text, "--traceparent")
    assert trace_id(text) == ""


def test_the_trace_comes_back_with_the_event_also_of_an_unknown_one() -> None:
    said = Envelope(id="e", time=1, source="client.cli", trace=GOOD, body=TaskCancelled(task="t", queue="q"))
    subject = "log.client.cli.task.q.t.cancelled"
    assert decode(1, subject, encode(said)).trace == GOOD
    other = decode(1, subject, encode(said).replace(b"task_cancelled", b"task_sung"))
    assert isinstance(other.body, Unknown)
    assert other.trace == GOOD
