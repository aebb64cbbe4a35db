"""A day of twenty agents as a node writes it: given, claimed, done or failed, one tick a minute."""

import random
from collections.abc import Iterator
from typing import Any

from events.agents import AgentJoined, AgentSample
from events.codec import decode, encode
from events.decisions import AssignTask, Decided
from events.envelope import Recorded
from events.event import Event
from events.log import entry, envelope
from events.observations import LeaseTaken, Sampled
from events.settings import AgentSettings, QueueSettings, Settings, SettingsAdopted
from events.tasks import TaskFailed, TaskFinished, TaskStarted, TaskSubmitted

START = 1_767_225_600_000_000
DAY_US = 86_400_000_000
NODE = "node.bench"
AGENTS = tuple(f"CC{number:02}" for number in range(1, 21))
TYPES = ("design", "infra", "tests", "docs")
PAGE = 4_000


class AgentHistory:
    """Says the events of one day, evenly spread."""

    def __init__(self) -> None:
        self.position = 0
        self.now = START
        self._random = random.Random(11)
        self._page: list[Recorded] = []

    def pages(self, count: int) -> Iterator[list[Recorded]]:
        """Yield about so many events in pages."""
        agents = tuple(AgentSettings(name=name) for name in AGENTS)
        queues = (QueueSettings(name="work", serve="dispatch"),)
        settings = Settings(node="bench", agents=agents, queues=queues)
        self._say(LeaseTaken(holder="bench"), NODE)
        self._say(SettingsAdopted(origin="file", digest="s", settings=settings), NODE)
        for name in AGENTS:
            joined = AgentJoined(agent=name, run="r", pid=1, host="h", release="1")
            self._say(joined, f"agent.{name}")
        step, number, minute = (DAY_US - 60_000_000) // max(1, count // 4), 0, 0
        while self.position < count:
            self._task(number, step)
            number += 1
            if self.now - START >= minute * 60_000_000:
                minute += 1
                samples = tuple(AgentSample(name, 900, 1, 100, True) for name in AGENTS)
                self._say(Sampled(full=True, agents=samples), NODE)
            while len(self._page) >= PAGE:
                page, self._page = self._page[:PAGE], self._page[PAGE:]
                yield page
        if self._page:
            yield self._page

    def _task(self, number: int, step: int) -> None:
        task, agent = f"01k{number:013x}", self._random.choice(AGENTS)
        kind = TYPES[number % len(TYPES)]
        self._say(TaskSubmitted(task=task, queue="work", kind=kind, payload={"n": number}), "client.cli")
        asked = self.position
        given = AssignTask(
            task=task, queue="work", agent=agent, lease=1, attempt=1, submitted=asked, after=asked
        )
        place: dict[str, Any] = {"trigger": asked, "as_of": asked, "epoch": 1, "ordinal": 0, "size": 1}
        said: dict[str, Any] = {
            "policy": "pull_best",
            "version": "1",
            "settings": "s",
            "reason": "policy",
            "text": "given",
        }
        self._say(Decided(elf="balance", rule="assign", target=task, action=given, **place, **said), NODE)
        common: dict[str, Any] = {"task": task, "queue": "work", "unit": agent, "generation": 1, "attempt": 1}
        self._say(TaskStarted(pid=1, nonce="n", lease=1, **common), f"agent.{agent}")
        claim = self.position
        self.now += step
        if number % 50 == 0:
            end: Event = TaskFailed(claim=claim, kind="error", error="no", service_ms=900, **common)
        else:
            end = TaskFinished(claim=claim, service_ms=900, **common)
        self._say(end, f"agent.{agent}")

    def _say(self, body: Event, source: str) -> None:
        self.position += 1
        self.now += 10
        said = entry(envelope(f"{self.position:024x}", self.now, source, body))
        self._page.append(decode(self.position, said.subject, encode(said.envelope)))
