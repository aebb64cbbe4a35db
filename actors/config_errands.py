"""The tables of forest.toml about what is done by the clock and who is told: reminders, jobs, channels, GitHub."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from actors.config_words import Command, Name, PathText, Positive, Text

Topic = Literal["critical", "warning", "escalation", "reassigned", "owner", "leak", "proposal"]
TOPICS: tuple[Topic, ...] = ("critical", "escalation", "reassigned", "owner")


class Reminder(Struct, frozen=True, kw_only=True):
    """[[reminder]]: a text for a worker; `when` is kept as it was written."""

    worker: Text
    when: Annotated[str, Meta(extra={"form": "when"})]
    text: Text
    zone: Annotated[str, Meta(extra={"form": "zone"})] = ""


class Job(Struct, frozen=True, kw_only=True):
    """[[job]]: a command that runs by the clock."""

    name: Name
    every: Annotated[str, Meta(extra={"form": "every"})]
    command: Command
    kind: Literal["monitor", "report", "maintenance", "types"] = "monitor"
    on_failure: Literal["escalate", "log"] = "escalate"
    zone: Annotated[str, Meta(extra={"form": "zone"})] = ""
    timeout_s: Positive = 600.0
    to: tuple[Text, ...] = ()
    cwd: Annotated[str, Meta(extra={"form": "folder"})] = ""
    env: dict[str, str] = {}


class Channel(Struct, frozen=True, kw_only=True):
    """[notify.NAME]: one way to tell people: exactly one of file, webhook and command."""

    file: PathText = ""
    webhook: Annotated[str, Meta(extra={"form": "webhook"})] = ""
    command: Command = ()
    topics: tuple[Topic, ...] = TOPICS
    timeout_s: Positive = 10.0


class GitHub(Struct, frozen=True, kw_only=True):
    """[github]: where issues are opened; the token's variable, never the token."""

    repo: Annotated[str, Meta(extra={"form": "repository"})] = ""
    token_env: str = ""
    api: Annotated[str, Meta(extra={"form": "api"})] = "https://api.github.com"
    branch: str = ""
