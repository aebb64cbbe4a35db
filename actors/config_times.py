"""What forest.toml says about times and messages, as policies read it: zones become data."""

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from actors.zones import zone_of
from events.settings import ChannelSettings, JobSettings, ReminderSettings

if TYPE_CHECKING:
    from actors.config import Forest


def times(forest: "Forest") -> dict[str, Any]:
    """Return the parts of `Settings` that have to do with times and messages."""
    usual = forest.node.timezone
    reminders = {
        name: ReminderSettings(
            name=name, worker=each.worker, when=each.when, text=each.text, zone=each.zone or usual
        )
        for each in forest.reminders
        for name in [reminder_name(each.worker, each.when, each.zone or usual, each.text)]
    }
    jobs = tuple(
        JobSettings(
            name=job.name,
            every=job.every,
            kind=job.kind,
            zone=job.zone or usual,
            escalate=job.on_failure == "escalate",
        )
        for job in forest.jobs
    )
    named = {usual, *(each.zone for each in reminders.values()), *(job.zone for job in jobs)}
    return {
        "reminders": tuple(reminders.values()),
        "jobs": jobs,
        "channels": tuple(
            ChannelSettings(name=name, topics=channel.topics) for name, channel in forest.notify.items()
        ),
        "zones": tuple(zone_of(name) for name in sorted(named - {"UTC"})),
    }


def reminder_name(worker: str, when: str, zone: str, text: str) -> str:
    """Return the name of a reminder: the same as long as it says the same."""
    digest = blake2b(f"{worker}\n{when}\n{zone}\n{text}".encode(), digest_size=3).hexdigest()
    return f"{worker[:56]}-{digest}"
