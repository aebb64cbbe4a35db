"""The elf's shell: written decisions only, an orderly return after a failure, no word after the lead is lost."""

import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pykka
import pytest
from msgspec import Struct

from actors.bus import Bus
from actors.clock import SystemClock
from actors.connection import Connection
from actors.elf import Due, ElfActor
from actors.elves import Draft, View
from actors.feed import Feed
from actors.jetstream import JetStreamLog
from actors.journal import Journal
from actors.runtime import Down, Watcher
from actors.snapshots import Snapshots
from actors.supervisor import ChildSpec, Supervisor
from events.decisions import Decided, RaiseAlert
from events.envelope import Recorded
from events.event import Event
from events.log import Expect, Receipt, entry, envelope
from events.observations import ClockStepped, DeciderResumed, IntentSet, LeaseTaken
from events.settings import Settings, SettingsAdopted
from events.subjects import LEASE
from tests.real_server import Client, RealServer, real_server, until


class Heard(Struct):
    """Which targets were named and not yet answered."""

    open: list[str]


class TouchyElf:
    """Raises an alert for every intent it hears of; the word `boom` makes it fail, once."""

    name = "touchy"
    version = "1"
    state_type = Heard
    triggers: tuple[type[Event], ...] = (IntentSet,)

    def __init__(self, where: str) -> None:
        self.where = where
        self.failures = 0

    def initial(self) -> Heard:
        """See `Policy.initial`."""
        return Heard([])

    def fold(self, state: Heard, event: Recorded, view: View) -> None:
        """See `Policy.fold`."""
        body = event.body
        if isinstance(body, IntentSet):
            self._touch("fold", body.reason)
            state.open.append(body.target)
        elif isinstance(body, Decided) and body.target in state.open:
            state.open.remove(body.target)

    def decide(self, state: Heard, view: View) -> Sequence[Draft]:
        """See `Policy.decide`."""
        self._touch("decide", "boom" if "boom" in state.open else "")
        return [
            Draft(
                rule="heard",
                target=target,
                action=RaiseAlert(cause="heard", severity="info"),
                reason="heard",
                text=target,
                inputs={},
            )
            for target in state.open
        ]

    def due(self, state: Heard, view: View) -> int:
        """See `Policy.due`."""
        return 0

    def _touch(self, where: str, word: str) -> None:
        if word == "boom" and self.where == where and not self.failures:
            self.failures += 1
            raise RuntimeError("the policy failed")


class Stage:
    """One elf under a supervisor on a real log, led by `n1`."""

    def __init__(self, server: RealServer, folder: Path, where: str = "fold") -> None:
        self.server = server
        self.policy = TouchyElf(where)
        self.bus = Bus(server.credentials("node"), "test-elf")
        self.bus.start()
        self.clock = SystemClock(self.bus)
        self.journal = Journal(self.bus, self.clock, "node.n1")
        self.feed = Feed(self.bus, self.lost)
        self.snapshots = Snapshots(folder)
        self.ended: list[str] = []
        self.dues: list[Due] = []
        self.epoch = self.say(LeaseTaken(holder="n1"))[0]
        self.say(SettingsAdopted(origin="file", digest="d", settings=Settings(node="n1")))
        self.supervisor = Supervisor.start(
            "supervisor", lambda _: None, [ChildSpec("touchy", self._start)], self.clock, self.lost
        )
        self.bus.wait(lambda: self.feed.start_with({"touchy"}), 10)

    def lost(self, why: str) -> None:
        """Hear that the node would end now."""
        self.ended.append(why)

    def _start(self, watcher: Watcher, down: Down | None) -> pykka.ActorRef[Any]:
        return ElfActor.start(
            watcher,
            self.policy,
            self.journal,
            self.clock,
            self.snapshots,
            self.feed.subscribe,
            self.dues.append,
            self.lost,
            self.epoch,
            (down.position, down.error) if down else None,
        )

    def say(self, *bodies: Event) -> tuple[int, ...]:
        """Append as the node and wait for the receipt."""
        written, told = threading.Event(), list[Receipt | Exception]()

        def done(result: Receipt | Exception) -> None:
            told.append(result)
            written.set()

        self.journal.write(*bodies, done=done)
        assert written.wait(60)
        assert isinstance(told[0], Receipt)
        return told[0].positions

    def intent(self, target: str, reason: str = "") -> int:
        """Let a person speak."""
        return self.say(IntentSet(target=target, intent="run", reason=reason))[0]

    async def story(self) -> list[Recorded]:
        """Return the log."""
        return await Client(await self.server.log()).story()

    async def decided(self, count: int) -> list[Recorded]:
        """Wait for so many decisions."""
        deadline = time.monotonic() + 60
        while True:
            found = [event for event in await self.story() if isinstance(event.body, Decided)]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"expected {count} decisions, got {found}"

    def stop(self) -> None:
        """End everything."""
        self.supervisor.stop(timeout=5)
        self.bus.stop()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    async with real_server(tmp_path / "server") as made:
        yield made


@pytest.mark.parametrize("where", ["fold", "decide"])
async def test_an_elf_that_fails_comes_back_says_so_and_decides_again(
    server: RealServer, tmp_path: Path, where: str
) -> None:
    stage = Stage(server, tmp_path / "snapshots", where)
    try:
        stage.intent("one")
        (first,) = await stage.decided(1)
        failed_at = stage.intent("boom", "boom")
        _, second = await stage.decided(2)
        stage.intent("two")
        *_, third = await stage.decided(3)
        story = await stage.story()
        (notice,) = [event for event in story if isinstance(event.body, DeciderResumed)]
        assert isinstance(notice.body, DeciderResumed)
        assert (notice.body.elf, notice.body.error) == ("touchy", "RuntimeError: the policy failed")
        assert notice.body.after == failed_at - 1
        bodies = [event.body for event in (first, second, third) if isinstance(event.body, Decided)]
        assert [body.target for body in bodies] == ["one", "boom", "two"]
        assert bodies[1].trigger == bodies[1].as_of == notice.position
        assert stage.policy.failures == 1
        assert stage.ended == []
    finally:
        stage.stop()


async def test_an_elf_that_is_stopped_keeps_its_mind(server: RealServer, tmp_path: Path) -> None:
    stage = Stage(server, tmp_path / "snapshots")
    try:
        stage.intent("one")
        (decision,) = await stage.decided(1)
        await until(lambda: stage.feed.lags().get("touchy") == 0 and stage.feed.position == decision.position)
    finally:
        stage.stop()
    mind = stage.snapshots.load(stage.policy)
    assert mind.view.timeline.position == decision.position
    assert mind.own == Heard([])
    assert [alert.text for alert in mind.view.alerts.open.values()] == ["one"]


async def test_an_elf_says_nothing_more_once_another_node_took_the_lease(
    server: RealServer, tmp_path: Path
) -> None:
    stage = Stage(server, tmp_path / "snapshots")
    try:
        stage.intent("one")
        await stage.decided(1)
        usurper: Connection = await server.connect("node")
        taken = envelope("other", 1, "node.n2", LeaseTaken(holder="n2", previous=stage.epoch))
        await JetStreamLog(usurper).append([entry(taken, Expect(LEASE, stage.epoch))])
        stage.intent("two")
        last = stage.say(ClockStepped(step_ms=1))[0]
        await until(lambda: stage.feed.position >= last and stage.ended)
        assert "n2 took the lease" in stage.ended[0]
        assert len(await stage.decided(1)) == 1
    finally:
        stage.stop()
