"""What an earlier release wrote is lifted when it is read, and only that."""

import json
from typing import Any

import pytest

from events import codec
from events.codec import decode, decoder
from events.envelope import Malformed, Unknown
from events.log import envelope
from events.tasks import TaskSubmitted
from events.upcasters import UPCASTERS, Registry, UpcastError, current, lift


def wire(version: int, **body: Any) -> bytes:
    head = {"id": "i", "time": 7, "source": "client.c"} | ({"version": version} if version > 1 else {})
    return json.dumps(head | {"body": body}).encode()


def renamed(fields: dict[str, Any]) -> dict[str, Any]:
    fields["queue"] = fields.pop("line")
    return fields


def retired(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "task_submitted", "task": fields["job"], "line": fields["line"]}


def broken(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": fields["no such field"]}


REGISTRY: Registry = {
    ("task_submitted", 1): renamed,
    ("job_filed", 1): lambda fields: fields | {"job": fields.pop("name")},
    ("job_filed", 2): retired,
    ("fails", 1): broken,
    ("round", 1): lambda fields: fields | {"type": "round_too"},
    ("round_too", 1): lambda fields: fields | {"type": "round"},
}


def test_an_older_version_is_lifted_and_its_bytes_stay() -> None:
    data = wire(1, type="task_submitted", task="t", line="q")
    event = decoder(REGISTRY)(3, "log.x", data)
    assert event.body == TaskSubmitted(task="t", queue="q")
    assert (event.position, event.id, event.time, event.data) == (3, "i", 7, data)
    assert isinstance(decode(3, "log.x", data).body, Malformed), "without the upcaster it cannot be read"


def test_the_present_version_is_not_touched() -> None:
    event = decoder(REGISTRY)(1, "log.x", wire(2, type="task_submitted", task="t", queue="q"))
    assert event.body == TaskSubmitted(task="t", queue="q")


def test_an_older_version_that_could_be_read_as_it_is_is_lifted_too() -> None:
    registry: Registry = {("task_submitted", 1): lambda fields: fields | {"queue": fields["queue"].upper()}}
    body = decoder(registry)(1, "log.x", wire(1, type="task_submitted", task="t", queue="q")).body
    assert body == TaskSubmitted(task="t", queue="Q")


def test_a_retired_tag_goes_through_its_versions_into_its_successor() -> None:
    read = decoder(REGISTRY)
    assert read(1, "log.x", wire(1, type="job_filed", name="t", line="q")).body == TaskSubmitted(
        task="t", queue="q"
    )
    assert read(1, "log.x", wire(2, type="job_filed", job="t", line="q")).body == TaskSubmitted(
        task="t", queue="q"
    )


def test_what_cannot_be_lifted_is_malformed_and_says_why() -> None:
    for tag, why in (("fails", "no such field"), ("round", "no end")):
        body = decoder(REGISTRY)(1, "log.x", wire(1, type=tag)).body
        assert isinstance(body, Malformed)
        assert why in body.reason
    with pytest.raises(UpcastError, match="no end"):
        lift(REGISTRY, {"type": "round"}, 1)


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"body": 1}', b"\xff"], ids=["nothing", "open", "no body", "no text"]
)
def test_what_is_no_event_is_malformed_as_before(data: bytes) -> None:
    assert decoder(REGISTRY)(1, "log.x", data) == decode(1, "log.x", data)


def test_unknown_tags_stay_unknown() -> None:
    body = decoder(REGISTRY)(1, "log.x", wire(1, type="of_the_future", x=1)).body
    assert isinstance(body, Unknown)
    assert body.type == "of_the_future"


def test_versions_follow_from_the_registry() -> None:
    assert current(REGISTRY)["task_submitted"] == 2
    assert current(REGISTRY)["job_filed"] == 3


def test_without_upcasters_the_plain_decoder_reads() -> None:
    assert decoder({}) is codec._decode
    assert decode is decoder(UPCASTERS) or UPCASTERS


def test_what_is_written_carries_the_present_version(monkeypatch: pytest.MonkeyPatch) -> None:
    said = envelope("i", 7, "client.c", TaskSubmitted(task="t", queue="q"))
    assert b"version" not in codec.encode(said)
    monkeypatch.setattr(codec, "VERSIONS", current(REGISTRY))
    data = codec.encode(said)
    assert json.loads(data)["version"] == 2
    assert decoder(REGISTRY)(1, "log.x", data).body == said.body
