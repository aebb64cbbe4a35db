"""Events on the wire: golden bytes that are only ever added to, one schema, nothing fatal in what is read."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from events.codec import CATALOGUE, body_of, canonical, decode, encode, known, schema
from events.decisions import AnyAction, Decided, StartUnit
from events.envelope import Envelope, Malformed, Recorded, Unknown
from events.event import Event, snake
from events.log import envelope
from events.observations import Sampled, UnitSample, WorkerExited
from events.subjects import (
    CLASSES,
    MIDDLE,
    class_of,
    class_served,
    is_decision,
    queue_consumer,
    queue_filter,
    subject_of,
    task_filter,
    task_prefix,
    token,
)
from events.tasks import TaskFinished, TaskStarted, TaskSubmitted

GOLDEN = Path(__file__).parent / "golden" / "events.jsonl"


def golden() -> list[dict[str, Any]]:
    """Return the golden lines."""
    return [json.loads(line) for line in GOLDEN.read_text().splitlines()]


def read(text: str, subject: str = "log.x") -> Recorded:
    """Read wire bytes."""
    return decode(1, subject, text.encode())


def test_every_golden_event_still_reads_and_says_the_same_again() -> None:
    newest = {(line["type"], line["form"]): line["data"] for line in golden()}
    for line in golden():
        event = read(line["data"], line["subject"])
        assert isinstance(event.body, Event), line
        assert event.type == line["type"]
        said = Envelope(
            id=event.id,
            time=event.time,
            source=event.source,
            cause=event.cause,
            correlation=event.correlation,
            body=event.body,
        )
        if newest[line["type"], line["form"]] == line["data"] and line["type"] != "settings_adopted":
            assert encode(said).decode() == line["data"], "make pages adds what is new"
        # What an earlier release wrote may lack a setting; nothing of it may be lost or change its meaning.
        assert read(encode(said).decode()).body == event.body
        subject = line["subject"]
        if isinstance(event.body, TaskSubmitted) and class_of(event.body.priority) != MIDDLE:
            # Before there were classes all submissions stood on one subject.
            subject += f".{event.body.priority}"
        assert subject_of(event.source, event.body) == subject


def test_every_event_of_the_catalogue_has_a_golden_line_with_all_fields_and_one_with_the_fewest() -> None:
    full = {line["type"] for line in golden() if line["form"] == "full"}
    least = {line["type"] for line in golden() if line["form"] == "least"}
    tags = {str(kind.__struct_config__.tag) for kind in CATALOGUE}
    assert full == least == tags, "make pages adds what is new"
    # Lines of earlier releases stay; the last full one of a type has its newest fields too.
    for line in {line["type"]: line for line in golden() if line["form"] == "full"}.values():
        kind = known(line["type"])
        assert kind is not None
        told = set(json.loads(line["data"])["body"]) - {"type"}
        assert told == set(kind.__struct_fields__), f"{line['type']} tells {sorted(told)}"


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.__name__)
def test_a_tag_is_its_events_name_and_finds_it(kind: type[Event]) -> None:
    tag = str(kind.__struct_config__.tag)
    assert tag == snake(kind.__name__)
    assert known(tag) is kind
    assert kind.__struct_config__.frozen


def test_an_unknown_tag_keeps_its_envelope_and_its_raw_body() -> None:
    event = read(
        '{"id":"i","time":5,"source":"node.n","cause":"c","body":{"type":"moon_landing","who":[1,2]}}'
    )
    assert (event.id, event.time, event.source, event.cause, event.type) == (
        "i",
        5,
        "node.n",
        "c",
        "moon_landing",
    )
    assert event.body == Unknown("moon_landing", b'{"type":"moon_landing","who":[1,2]}')


def test_a_field_from_a_later_release_is_passed_over() -> None:
    text = '{"id":"i","time":5,"source":"n","later":1,"body":{"type":"clock_stepped","step_ms":5,"why":"x"}}'
    assert read(text).type == "clock_stepped"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "\\xff",
        "{}",
        '{"id":"i","time":5,"source":"n"}',
        '{"id":"i","time":5,"source":"n","body":null}',
        '{"id":"i","time":5,"source":"n","body":{}}',
        '{"id":"i","time":5,"source":"n","body":{"type":7}}',
        '{"id":"i","time":5,"source":"n","body":{"type":"clock_stepped"}}',
        '{"id":"i","time":5,"source":"n","body":{"type":"clock_stepped","step_ms":"soon"}}',
        '{"id":1,"time":"x","source":"n","body":{"type":"clock_stepped","step_ms":1}}',
        '{"id":"i","time":5,"source":"n","body":{"type":"sampled","full":false,"units":[["a",1]]}}',
    ],
)
def test_bytes_that_are_no_event_are_malformed_with_a_reason(text: str) -> None:
    event = read(text)
    assert isinstance(event.body, Malformed)
    assert event.body.reason
    assert event.type == "malformed"
    assert event.data == text.encode()


@profile(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_are_fatal(data: bytes) -> None:
    assert decode(1, "log.x", data).data == data


def test_one_broken_letter_never_reads_as_another_kind_of_body() -> None:
    text = golden()[0]["data"]
    for place in range(len(text)):
        event = read(text[:place] + "\u0007" + text[place + 1 :])
        assert isinstance(event.body, Event | Malformed | Unknown)


def test_defaults_stay_off_the_wire() -> None:
    body = WorkerExited(unit="a", generation=1, pid=2)
    said = json.loads(encode(envelope("i", 5, "node.n", body)))
    assert said == {
        "id": "i",
        "time": 5,
        "source": "node.n",
        "body": {"type": "worker_exited", "unit": "a", "generation": 1, "pid": 2},
    }


def test_samples_are_arrays_and_come_back_as_they_were() -> None:
    sample = UnitSample("a", 1, "S", 5, 1000, 1, 1, 0, -1)
    data = encode(envelope("i", 5, "node.n", Sampled(full=False, units=(sample,))))
    assert b'[["a",1,"S",5,1000,1,1,0,-1]]' in data
    assert decode(1, "log.x", data).body == Sampled(full=False, units=(sample,))


def test_canonical_bytes_do_not_depend_on_the_order_of_keys() -> None:
    assert canonical({"b": 1, "a": {"d": 1, "c": 2}}) == canonical({"a": {"c": 2, "d": 1}, "b": 1})
    assert canonical({"b": 1, "a": 2}) == b'{"a":2,"b":1}'


def test_a_body_from_plain_values_names_what_is_wrong() -> None:
    assert body_of("clock_stepped", {"step_ms": 5}).step_ms == 5  # type: ignore[attr-defined]
    with pytest.raises(msgspec.ValidationError, match=r"step_ms"):
        body_of("clock_stepped", {"step_ms": "soon"})
    with pytest.raises(msgspec.ValidationError, match=r"expected one of .*, got 'moon_landing'"):
        body_of("moon_landing", {})


def test_the_schema_describes_every_event_and_accepts_the_golden_ones() -> None:
    whole = schema()
    assert whole["$schema"].endswith("2020-12/schema")
    tags = {
        definition["properties"]["type"]["enum"][0]
        for definition in whole["$defs"].values()
        if "enum" in definition.get("properties", {}).get("type", {})
    }
    assert {str(kind.__struct_config__.tag) for kind in CATALOGUE} <= tags
    assert set(whole["required"]) == {"id", "time", "source", "body"}
    assert not [text for text in _references(whole) if text.removeprefix("#/$defs/") not in whole["$defs"]]
    json.dumps(whole)


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [text for value in node.values() for text in _references(value)]
    return [text for value in node for text in _references(value)] if isinstance(node, list) else []


def test_subjects_name_writer_kind_and_target() -> None:
    claim = TaskStarted(task="t", queue="q", unit="w", generation=1, pid=1, attempt=2, nonce="n")
    done = TaskFinished(task="t", queue="q", unit="w", generation=1, attempt=2, claim=1)
    assert subject_of("client.cli", TaskSubmitted(task="t", queue="q")) == "log.client.cli.task.q.t.submitted"
    assert subject_of("worker.w", claim) == "log.worker.w.task.q.t.started.2"
    assert subject_of("worker.w", done) == "log.worker.w.task.q.t.finished"
    assert task_prefix("worker.w", "q", "t") == "log.worker.w.task.q.t"
    assert task_filter("q", "t") == "log.*.*.task.q.t.>"
    assert queue_filter("q") == "log.*.*.task.q.*.submitted"


def test_each_class_of_a_queue_has_a_subject_and_a_consumer_and_an_unknown_one_is_middle() -> None:
    said = {
        name: subject_of("client.cli", TaskSubmitted(task="t", queue="q", priority=name)) for name in CLASSES
    }
    assert said == {
        "high": "log.client.cli.task.q.t.submitted.high",
        "middle": "log.client.cli.task.q.t.submitted",
        "low": "log.client.cli.task.q.t.submitted.low",
    }
    assert [queue_filter("q", rank) for rank in range(3)] == [
        said[name].replace("client.cli", "*.*").replace(".t.", ".*.") for name in CLASSES
    ]
    assert (class_of("urgent"), class_of("")) == (MIDDLE, MIDDLE)
    for queue in ("q", "h_q", "l_q", "qh_q"):
        assert [class_served(queue_consumer(queue, rank)) for rank in range(3)] == [0, 1, 2]
    names = [queue_consumer(queue, rank) for queue in ("q", "h_q", "l_q", "qh_q", "q_q") for rank in range(3)]
    assert len(set(names)) == len(names)
    assert is_decision("log.node.n.decided.healing")
    assert not is_decision("log.node.n.sampled.node")


@pytest.mark.parametrize("text", ["", "a.b", "a b", "*", ">", "a" * 65, "é"])
def test_what_may_not_stand_in_a_subject_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected task id of 1 to 64 letters"):
        token(text, "task id")


def test_every_action_has_a_golden_line() -> None:
    told = {json.loads(line["data"])["body"]["action"]["do"] for line in golden() if line["form"] == "action"}
    assert told == {str(action.__struct_config__.tag) for action in AnyAction.__args__}, "make pages adds it"


def test_a_decision_carries_all_it_rests_on() -> None:
    line = next(line for line in golden() if line["type"] == "decided" and line["form"] == "full")
    body = read(line["data"]).body
    assert isinstance(body, Decided)
    assert body.action == StartUnit(generation=2)
    assert body.candidates[0].terms == {"load": 0.5}
