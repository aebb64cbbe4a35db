"""Events to bytes and back: JSON on the wire, one decoder, nothing fatal in what is read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, convert
from msgspec.structs import replace

from events.agents import AgentEvent
from events.analyses import DailyAnalysed, TuningFound, TuningWithdrawn
from events.authority import objection
from events.controls import ControlEvent
from events.decisions import Decided
from events.envelope import Envelope, Malformed, RawEnvelope, Recorded, Unknown
from events.event import Event, type_of
from events.jobs import JobEvent
from events.observations import Observation
from events.outcomes import Outcome
from events.proposals import ProposalEvent
from events.reminders import ReminderEvent
from events.settings import SettingsAdopted
from events.tasks import TaskEvent
from events.upcasters import UPCASTERS, VERSIONS, Registry, UpcastError, current, lift

T = TypeVar("T")

AnyEvent = (
    Observation
    | TaskEvent
    | AgentEvent
    | Decided
    | Outcome
    | SettingsAdopted
    | ReminderEvent
    | JobEvent
    | ProposalEvent
    | ControlEvent
    | DailyAnalysed
    | TuningFound
    | TuningWithdrawn
)

CATALOGUE: tuple[type[Event], ...] = tuple(
    sorted(AnyEvent.__args__, key=lambda kind: str(kind.__struct_config__.tag))
)
_KNOWN = {str(kind.__struct_config__.tag): kind for kind in CATALOGUE}


class _Wire(Struct, frozen=True, kw_only=True, gc=False):
    id: str
    time: int
    source: str
    cause: str = ""
    correlation: str = ""
    trace: str = ""
    version: int = 1
    body: AnyEvent


class _Tag(Struct):
    type: str


_encoder = msgspec.json.Encoder()
_ordered = msgspec.json.Encoder(order="deterministic")
_decoder: msgspec.json.Decoder[_Wire] = msgspec.json.Decoder(_Wire)
_raw_decoder: msgspec.json.Decoder[RawEnvelope] = msgspec.json.Decoder(RawEnvelope)
_tag_decoder: msgspec.json.Decoder[_Tag] = msgspec.json.Decoder(_Tag)


def encode(envelope: Envelope) -> bytes:
    """Return the wire form of an event: one JSON object, with the version of its event that is written now."""
    if VERSIONS:
        envelope = replace(envelope, version=VERSIONS.get(type_of(envelope.body), 1))
    return _encoder.encode(envelope)


def canonical(value: object) -> bytes:
    """Return JSON with sorted keys, for digests and comparisons."""
    return _ordered.encode(value)


def _decode(position: int, subject: str, data: bytes) -> Recorded:
    """Read stored bytes. Unknown tags come back as `Unknown`, unreadable bytes as `Malformed`; never raises."""
    try:
        wire = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        return _salvage(position, subject, data, str(problem))
    return _recorded(position, subject, wire, data)


def _recorded(position: int, subject: str, wire: _Wire, data: bytes) -> Recorded:
    """Take an event for what it says, unless its writer may not say it there: then it is malformed."""
    body: Event | Malformed = wire.body
    source = wire.source
    # What `objection` would say first of nearly every event: asked here, it costs no call.
    if (not subject.startswith(f"log.{source}.") or source.startswith("agent.")) and (
        why := objection(subject, source, wire.body)
    ):
        body = Malformed(why)
    return Recorded(
        position, subject, wire.id, wire.time, source, wire.cause, wire.correlation, body, data, wire.trace
    )


def _of_raw(
    position: int, subject: str, raw: RawEnvelope, body: Event | Unknown | Malformed, data: bytes
) -> Recorded:
    return Recorded(
        *(position, subject, raw.id, raw.time, raw.source, raw.cause, raw.correlation, body, data),
        trace=raw.trace,
    )


def _salvage(position: int, subject: str, data: bytes, reason: str) -> Recorded:
    try:
        raw = _raw_decoder.decode(data)
        tag = _tag_decoder.decode(raw.body).type if isinstance(raw.body, msgspec.Raw) else ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Recorded(position, subject, f"malformed-{position}", 0, "", "", "", Malformed(reason), data)
    if tag and tag not in _KNOWN and isinstance(raw.body, msgspec.Raw):
        body: Unknown | Malformed = Unknown(tag, bytes(raw.body))
    else:
        body = Malformed(reason)
    return _of_raw(position, subject, raw, body, data)


def decoder(registry: Registry) -> Callable[[int, str, bytes], Recorded]:
    """Return a decoder that lifts older versions by these upcasters; without any it is the plain one."""
    if not registry:
        return _decode
    versions = current(registry)

    def lifting(position: int, subject: str, data: bytes) -> Recorded:
        try:
            wire = _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            return _lifted(registry, versions, position, subject, data) or _salvage(
                position, subject, data, str(problem)
            )
        if wire.version < versions.get(type_of(wire.body), 1):
            return _lifted(registry, versions, position, subject, data) or _decode(position, subject, data)
        return _recorded(position, subject, wire, data)

    return lifting


def _lifted(
    registry: Registry, versions: Mapping[str, int], position: int, subject: str, data: bytes
) -> Recorded | None:
    """Return an event of an older version as this release reads it, None where it is none."""
    try:
        raw = _raw_decoder.decode(data)
        tag = _tag_decoder.decode(raw.body).type if isinstance(raw.body, msgspec.Raw) else ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if raw.version >= versions.get(tag, 1) or not isinstance(raw.body, msgspec.Raw):
        return None
    body: Event | Unknown | Malformed
    try:
        fields = lift(registry, msgspec.json.decode(raw.body), raw.version)
        kind = _KNOWN.get(str(fields.get("type", "")))
        body = convert(fields, kind) if kind else Unknown(tag, bytes(raw.body))
    except (UpcastError, msgspec.ValidationError) as problem:
        body = Malformed(str(problem))
    return _of_raw(position, subject, raw, body, data)


decode = decoder(UPCASTERS)
"""Reads stored bytes: unknown tags are `Unknown`, unreadable bytes `Malformed`, older versions lifted; never raises."""


def pieces(rows: Sequence[T], size: int = 250) -> Iterator[Sequence[T]]:
    """Yield stored rows so many at once that what is made of them stays in a processor's cache while it is used."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def known(tag: str) -> type[Event] | None:
    """Return the event class of a tag, or None."""
    return _KNOWN.get(tag)


def body_of(tag: str, fields: dict[str, Any]) -> Event:
    """Build an event body from plain values. Raises `msgspec.ValidationError` with the path of what is wrong."""
    kind = _KNOWN.get(tag)
    if kind is None:
        raise msgspec.ValidationError(f"expected one of {', '.join(_KNOWN)}, got {tag!r}")
    return convert({"type": tag, **fields}, kind)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the envelope with every event, for consumers in any language."""
    (envelope,), definitions = msgspec.json.schema_components((_Wire,), ref_template="#/$defs/{name}")
    definitions = dict(definitions)
    wire = definitions.pop("_Wire", envelope)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **wire,
        "title": "Event",
        "$defs": definitions,
    }


__all__ = [
    "CATALOGUE",
    "AnyEvent",
    "body_of",
    "canonical",
    "decode",
    "decoder",
    "encode",
    "known",
    "pieces",
    "schema",
    "type_of",
]
