"""Whose word counts: every order of what two owners do, with crashes at every point, ends in one accepted result."""

from collections.abc import Iterator
from itertools import combinations

import msgspec
import pytest

from events.agents import AgentJoined
from events.codec import canonical
from events.decisions import AssignTask, Decided, MarkAgent
from events.envelope import Recorded
from events.event import Event
from events.log import Conflict, Expect, MemoryLog, entry, envelope
from events.observations import LeaseTaken
from events.settings import SettingsAdopted
from events.subjects import task_filter
from events.tasks import ResultSalvaged, TaskReleased, TaskStarted, TaskSubmitted
from projections.dispatch import Dispatch
from projections.timeline import Timeline
from tests.distribution import NOW, Balance, finished, healing, settings

FILTER = task_filter("q", "t")
ADOPTED = settings()


class Scene:
    """A log with compare-and-set, the fold of it, and agents that may crash. `safe` agents use compare-and-set."""

    def __init__(self, safe: bool) -> None:
        self.log, self.dispatch, self.timeline = MemoryLog(), Dispatch(), Timeline()
        self.safe = safe
        self.claims: dict[str, int] = {}
        self.leases: dict[str, AssignTask] = {}
        self.salvaged = self.accepted = 0
        self.say(LeaseTaken(holder="n"), SettingsAdopted(origin="file", digest="d", settings=ADOPTED))
        for name in ("CC01", "CC02", "CC03"):
            joined = AgentJoined(agent=name, run="r", pid=1, host="h", release="1")
            self.say(joined, source=f"agent.{name}")
        self.say(TaskSubmitted(task="t", queue="q"), source="client.c")

    def say(self, *bodies: Event, source: str = "node.n", after: int = -1) -> int:
        expect = Expect(FILTER, after) if after >= 0 and self.safe else None
        position = 0
        for body in bodies:
            made = envelope(f"e{len(self.log.events)}", NOW + len(self.log.events), source, body)
            position = self.log.take([entry(made, expect)]).positions[0]
            self._fold(self.log.events[-1])
        return position

    def _fold(self, event: Recorded) -> None:
        self.timeline.apply(event)
        # The node crashes after every single event and goes on from what it kept.
        self.dispatch = msgspec.json.decode(canonical(self.dispatch), type=Dispatch)
        self.dispatch.apply(event, self.timeline.now, self.timeline.epoch, ADOPTED)

    def assign(self, agent: str) -> None:
        """Let the node give the task to an agent, as far as it is open."""
        task = self.dispatch.tasks.get("q/t")
        if task is None or task.state == "running":
            return
        action = AssignTask(
            task="t",
            queue="q",
            agent=agent,
            lease=len(task.leases) + 1,
            attempt=1,
            submitted=task.submitted,
            after=task.after,
        )
        self.leases[agent] = action
        self.say(assigned(action, self.timeline.epoch))

    def down(self, agent: str) -> None:
        """Let the node hold an agent for dead."""
        self.say(healing(agent, MarkAgent(state="down"), self.timeline.epoch))

    def claim(self, agent: str) -> None:
        """Let an agent claim what it was given; a careful one is told by the log that it is too late."""
        given = self.leases.get(agent)
        if given is None or (self.safe and not self._may(agent, given)):
            return
        body = TaskStarted(
            task="t", queue="q", unit=agent, generation=1, pid=1, attempt=1, nonce="n", lease=given.lease
        )
        try:
            self.claims[agent] = self.say(body, source=f"agent.{agent}", after=given.after)
        except Conflict:
            return

    def _may(self, agent: str, given: AssignTask) -> bool:
        # The agent that was late asks the node before it claims anything.
        return self.dispatch.owns(agent, "q", "t", given.lease) or given.lease == 1

    def finish(self, agent: str) -> None:
        """Let an agent say its result: effective, or salvaged."""
        claim = self.claims.pop(agent, 0)
        if not claim:
            return
        before = self.dispatch.counts.get("accepted", 0)
        try:
            self.say(finished("t", agent, claim), source=f"agent.{agent}", after=claim)
        except Conflict:
            salvaged = ResultSalvaged(task="t", queue="q", unit=agent, generation=1, attempt=1)
            self.say(salvaged, source=f"agent.{agent}")
            self.salvaged += 1
            return
        self.accepted += self.dispatch.counts.get("accepted", 0) - before

    def settle(self) -> None:
        """Whoever crashed is found out, a third agent does the rest."""
        for agent in ("CC01", "CC02"):
            self.down(agent)
        self.assign("CC03")
        self.claim("CC03")
        self.finish("CC03")


def assigned(action: AssignTask, epoch: int) -> Decided:
    return Decided(
        elf="balance",
        rule="assign",
        target="t",
        action=action,
        reason="r",
        text="",
        trigger=1,
        as_of=1,
        epoch=epoch,
        ordinal=0,
        size=1,
        policy="balance",
        version="1",
        settings="",
    )


OLD = ("old claims", "old finishes")
NODE = ("node gives up on old", "node assigns new")
NEW = ("new claims", "new finishes")


def orders() -> Iterator[tuple[str, ...]]:
    """Yield every interleaving of the three, with each agent crashing at every point or never."""
    for old in range(3):
        for new in range(3):
            yield from merged(OLD[:old], NODE, NEW[:new])


def merged(*parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield every order that keeps the order within each part."""
    if len(parts) == 1:
        yield parts[0]
        return
    head, *rest = parts
    for tail in merged(*rest):
        whole = len(head) + len(tail)
        for places in combinations(range(whole), len(head)):
            first, second = iter(head), iter(tail)
            yield tuple(next(first) if place in places else next(second) for place in range(whole))


@pytest.mark.parametrize("safe", [True, False], ids=["compare-and-set", "careless"])
def test_every_order_of_old_owner_new_owner_and_crash_accepts_one_result(safe: bool) -> None:
    played, accepted_of = 0, {"old": 0, "new": 0, "third": 0}
    for steps in orders():
        scene = Scene(safe)
        scene.assign("CC01")
        act = {
            "old claims": lambda scene=scene: scene.claim("CC01"),
            "old finishes": lambda scene=scene: scene.finish("CC01"),
            "node gives up on old": lambda scene=scene: scene.down("CC01"),
            "node assigns new": lambda scene=scene: scene.assign("CC02"),
            "new claims": lambda scene=scene: scene.claim("CC02"),
            "new finishes": lambda scene=scene: scene.finish("CC02"),
        }
        for step in steps:
            before = scene.accepted
            act[step]()
            if scene.accepted > before:
                accepted_of[step.split()[0]] += 1
        before = scene.accepted
        scene.settle()
        accepted_of["third"] += scene.accepted - before
        assert scene.dispatch.counts["accepted"] == scene.accepted == 1, steps
        assert scene.dispatch.tasks == {}
        played += 1
    assert played == 181
    assert sum(accepted_of.values()) == played
    assert all(accepted_of.values())


def test_the_orders_are_all_there_are() -> None:
    assert len(list(merged(OLD, NODE, NEW))) == 90
    assert len(set(merged(OLD, NODE, NEW))) == 90


def test_a_claim_counts_only_for_a_lease_that_was_given_to_its_writer() -> None:
    given = Balance().asked("t")
    assert given.given() == [("t", "CC01", "pull_best")]
    given.claim("t", "CC02", 1)
    given.claim("t", "CC01", 2)
    assert given.dispatch.counts == {"foreign": 2}
    given.claim("t", "CC01", 1)
    assert given.dispatch.tasks["q/t"].state == "running"
    assert given.dispatch.owns("CC01", "q", "t", 1)
    assert not given.dispatch.owns("CC02", "q", "t", 1)


def test_an_end_counts_only_from_the_last_claimer_and_with_its_claim() -> None:
    given = Balance().asked("t")
    given.given()
    claim = given.claim("t")
    given.finish("t", "CC02", claim).finish("t", "CC01", claim - 1)
    assert given.dispatch.counts == {"foreign": 1, "fenced": 1}
    given.finish("t", "CC01", claim).finish("t", "CC01", claim)
    assert given.dispatch.counts == {"foreign": 1, "fenced": 1, "accepted": 1, "late": 1}


def test_a_worker_s_word_about_a_dispatched_task_is_foreign() -> None:
    given = Balance().asked("t")
    given.given()
    given.say(finished("t", "w", 1), source="worker.w")
    assert given.dispatch.counts == {"foreign": 1}


def test_a_late_claim_of_the_older_lease_that_came_first_makes_its_agent_the_owner() -> None:
    given = Balance().asked("t")
    given.given()
    given.marked("CC01", "down")
    assert given.given() == [("t", "CC02", "pull_best")]
    claim = given.claim("t", "CC01", 1)
    assert given.dispatch.owns("CC01", "q", "t", 1)
    given.claim("t", "CC02", 2)
    assert given.dispatch.counts == {"fenced": 1}
    given.finish("t", "CC01", claim)
    assert given.dispatch.counts["accepted"] == 1


def test_an_assignment_that_was_overtaken_holds_for_nobody() -> None:
    given = Balance().asked("t")
    given.given()
    given.marked("CC01", "down")
    (late,) = given.ask()
    claim = given.claim("t", "CC01", 1)
    given.say(late, id="late")
    task = given.dispatch.tasks["q/t"]
    assert (task.agent, task.leases, given.dispatch.counts) == ("CC01", ["CC01", ""], {"void": 1})
    given.finish("t", "CC01", claim)
    assert given.dispatch.tasks == {}


def test_a_task_that_begins_anew_fences_its_old_leases() -> None:
    given = Balance().asked("t")
    given.given()
    given.asked("t")
    given.claim("t", "CC01", 1)
    assert given.dispatch.counts == {"fenced": 1}
    assert given.given() == [("t", "CC01", "pull_best")]
    assert given.dispatch.tasks["q/t"].lease == 2


def test_a_task_given_back_waits_again_and_its_attempt_does_not_count() -> None:
    given = Balance().asked("t")
    given.given()
    claim = given.claim("t")
    back = TaskReleased(task="t", queue="q", unit="CC01", generation=1, attempt=1, claim=claim)
    given.say(back, source="agent.CC01")
    assert given.dispatch.tasks["q/t"].attempts == 0
    assert [task for task, _, _ in given.given()] == ["t"]


def test_an_assignment_that_was_never_claimed_can_be_given_back() -> None:
    given = Balance().asked("t")
    given.given()
    back = TaskReleased(task="t", queue="q", unit="CC01", generation=1, attempt=1, claim=0)
    given.say(back, source="agent.CC01")
    assert given.dispatch.tasks["q/t"].state == "waiting"
