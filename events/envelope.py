"""What surrounds every event: who said it, when, and because of what."""

from msgspec import UNSET, Raw, Struct, UnsetType

from events.event import Event, type_of


class Envelope(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event as one writer says it. `time` is in microseconds since 1970, taken once by the writer.

    `source` is `<role>.<writer>`; `cause` the id of the event that led to this one, `correlation` the id that a whole
    story shares; `trace` a W3C traceparent from outside.
    """

    id: str
    time: int
    source: str
    cause: str = ""
    correlation: str = ""
    trace: str = ""
    version: int = 1
    body: Event


class Unknown(Struct, frozen=True):
    """A body whose tag this release does not know: kept raw, counted, never fatal."""

    type: str
    raw: bytes


class Malformed(Struct, frozen=True):
    """Stored bytes that are no event, and why."""

    reason: str


class RawEnvelope(Struct, frozen=True, kw_only=True):
    """An envelope with its body unread, for tags from another release."""

    id: str
    time: int
    source: str
    cause: str = ""
    correlation: str = ""
    trace: str = ""
    version: int = 1
    body: Raw | UnsetType = UNSET


class Recorded(Struct, frozen=True, gc=False):
    """An event as it stands in the log, at its position and with its exact bytes."""

    position: int
    subject: str
    id: str
    time: int
    source: str
    cause: str
    correlation: str
    body: Event | Unknown | Malformed
    data: bytes
    trace: str = ""

    @property
    def type(self) -> str:
        """The tag of the body; `malformed` where there is none."""
        body = self.body
        if isinstance(body, Event):
            return type_of(body)
        return body.type if isinstance(body, Unknown) else "malformed"
