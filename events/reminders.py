"""Reminders that people add beside the configuration, and what runners answer to what they are asked."""

from events.event import Event
from events.zones import Zone


class ReminderAdded(Event, frozen=True, kw_only=True):
    """A person wants a worker to be reminded; `zone` is the time zone as it was known when this was said."""

    reminder: str
    worker: str
    when: str
    text: str
    zone: Zone = Zone()


class ReminderRemoved(Event, frozen=True, kw_only=True):
    """A person wants a reminder no more, be it added by hand or of the configuration."""

    reminder: str


class RequestAnswered(Event, frozen=True, kw_only=True):
    """A runner did what a decision had asked of it.

    `before` and `after` are the resident memory of its handlers in bytes around a collection of garbage, else 0.
    """

    request: str
    unit: str
    generation: int
    do: str
    ok: bool
    before: int = 0
    after: int = 0
    detail: str = ""


ReminderEvent = ReminderAdded | ReminderRemoved | RequestAnswered
