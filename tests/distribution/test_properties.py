"""What holds in every story: nobody gets what it may not have, nothing is forgotten, an index is only an index."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from actors.elves.distribution import NAMES, Board, Distribution, Pick, board_of, distribution
from events.codec import canonical
from events.settings import AgentSettings, QueueSettings, Settings
from projections.assignments import Task
from projections.dispatch import Dispatch
from tests.distribution import NOW
from tests.elves import SECOND

AGENTS = (
    AgentSettings(name="CC01", fallback=1),
    AgentSettings(name="CC02", skills=("a", "b"), wip=2),
    AgentSettings(name="CC03", skills=("b",), priorities=("middle", "low"), wip=3),
    AgentSettings(name="CC04", skills=("a", "c")),
)
STATES = ("alive", "alive", "probation", "suspect", "down", "paused", "recovering", "absent")
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("submit"),
            st.sampled_from(["", "a", "b", "c"]),
            st.sampled_from(["high", "middle", "low"]),
        ),
        st.tuples(st.just("mark"), st.integers(0, 3), st.sampled_from(STATES)),
        st.tuples(st.just("claim"), st.integers(0, 3), st.just("")),
        st.tuples(st.just("finish"), st.integers(0, 3), st.just("")),
        st.tuples(st.just("fail"), st.integers(0, 3), st.just("")),
        st.tuples(st.just("release"), st.integers(0, 3), st.just("")),
        st.tuples(st.just("wait"), st.sampled_from([1, 20, 31, 3700]), st.just("")),
        st.tuples(st.just("deal"), st.integers(1, 3), st.just("")),
        st.tuples(st.just("freeze"), st.booleans(), st.just("")),
    ),
    max_size=60,
)


class Story:
    """A ledger, the policy's board that grew with it, and everybody else."""

    def __init__(self, policy: str) -> None:
        self.policy: Distribution = distribution(policy, {}, "CC01")
        self.dispatch = Dispatch()
        self.now, self.position, self.number = NOW, 0, 0
        adopted = Settings(
            node="n",
            queues=(QueueSettings(name="q", serve="dispatch", max_attempts=5),),
            agents=AGENTS,
        )
        self.dispatch.configure(adopted, self.now)
        self.board = board_of(self.dispatch, self.policy)
        for agent in AGENTS:
            self.dispatch.join(agent.name, self.now)

    def play(self, what: str, which: Any, more: str) -> None:
        self.position += 1
        self.now += 1000
        if what == "submit":
            self.number += 1
            key = f"t{self.number}"
            complexity = self.number % 60
            self.dispatch.submit(
                "q", key, self.position, self.now, kind=which, priority=more, complexity=complexity
            )
        elif what == "mark":
            state: Any = more
            self.dispatch.mark(AGENTS[which].name, state, self.now, 1 if more == "probation" else 0)
        elif what == "wait":
            self.now += which * SECOND
        elif what == "deal":
            for _ in range(which):
                self.deal()
        elif what == "freeze":
            self.dispatch.agents.frozen = which
        else:
            self.act(what, AGENTS[which].name)

    def act(self, what: str, name: str) -> None:
        held = self.dispatch.holds(name)
        assigned = [task for task in held if task.state == "assigned"]
        running = [task for task in held if task.state == "running"]
        if what == "claim" and assigned:
            task = assigned[0]
            assert self.dispatch.start(task.key, name, task.lease, self.position, self.now)
        elif what == "finish" and running:
            task = running[0]
            assert self.dispatch.finish(task.key, name, task.claim, 1000, self.now, self.position)
        elif what == "fail" and running:
            task = running[0]
            wait = 5 * SECOND if self.position % 2 else 0
            assert self.dispatch.fail(task.key, name, task.claim, 10, self.now, wait, self.position)
        elif what == "release" and held:
            task = held[0]
            assert self.dispatch.release(task.key, name, task.claim, self.now, self.position)

    def deal(self) -> bool:
        """Place one task; the same is said again, and by an index made anew from what a snapshot keeps."""
        pick = self.board.pick(self.now)
        assert self.board.pick(self.now) == pick
        kept = msgspec.json.decode(canonical(self.dispatch), type=Dispatch)
        assert board_of(kept, self.policy).pick(self.now) == pick
        if pick is None:
            self.nothing_is_overlooked()
            return False
        self.allowed(pick)
        self.dispatch.assign(pick.key, pick.agent, self.now)
        return True

    def allowed(self, pick: Pick) -> None:
        """Nothing is ever given to one that is away, paused or full, nor what it cannot do."""
        task, agent = self.dispatch.tasks[pick.key], self.dispatch.agents.agents[pick.agent]
        held = len(self.dispatch.holds(pick.agent))
        assert agent.state in ("alive", "probation")
        assert agent.wip > 0
        if not self.policy.push or agent.state == "probation":
            assert held < agent.wip
        assert task.state == "waiting" or pick.reason == "unclaimed"
        assert task.ready <= self.now
        assert not (self.dispatch.agents.frozen and pick.rule == "reassign")
        if pick.reason not in ("fallback", "high_of_failed"):
            assert self.may(agent.settings, task)
            # Who holds a task and does not claim it is kept from it now; who let it lie before that, no longer.
            avoid = task.agent if pick.reason == "unclaimed" else task.avoid
            if pick.agent == avoid and self.policy.name != "seed":
                assert not [other for other in self.there(task) if other.name != pick.agent]

    def may(self, settings: AgentSettings, task: Task) -> bool:
        skilled = not settings.skills or not task.kind or task.kind in settings.skills
        return skilled and (not settings.priorities or task.priority in settings.priorities)

    def there(self, task: Task) -> list[Any]:
        agents = self.dispatch.agents.agents.values()
        return [agent for agent in agents if agent.wip > 0 and self.may(agent.settings, task)]

    def nothing_is_overlooked(self) -> None:
        """Where the plain pull policies place nothing, nobody who may take a waiting task has room."""
        if self.policy.name not in ("pull_fifo", "pull_fair") or self.dispatch.agents.frozen:
            return
        for task in self.dispatch.tasks.values():
            if task.state != "waiting" or task.ready > self.now:
                continue
            there = self.there(task)
            members = [agent for agent in there if agent.state == "alive"]
            for agent in there:
                full = len(self.dispatch.holds(agent.name)) >= agent.wip
                avoided = agent.name == task.avoid and len(there) > 1
                probation = agent.state == "probation" and task.priority == "high" and members
                assert full or avoided or probation


@pytest.mark.parametrize("policy", NAMES)
@given(steps=STEPS)
@profile(deadline=None, max_examples=60)
def test_in_every_story_only_what_is_allowed_happens_and_an_index_adds_nothing(
    policy: str, steps: list[tuple[str, Any, str]]
) -> None:
    story = Story(policy)
    for step in steps:
        story.play(*step)
    story.deal()


@pytest.mark.parametrize("policy", NAMES)
@given(steps=STEPS)
@profile(deadline=None, max_examples=40)
def test_every_task_ends_once_everybody_is_back(policy: str, steps: list[tuple[str, Any, str]]) -> None:
    story = Story(policy)
    for step in steps:
        story.play(*step)
    story.dispatch.agents.frozen = False
    for agent in AGENTS:
        story.dispatch.mark(agent.name, "alive", story.now)
    for _ in range(400):
        story.now += 40 * SECOND
        while pick := story.board.pick(story.now):
            story.dispatch.assign(pick.key, pick.agent, story.now)
        for agent in AGENTS:
            for what in ("claim", "finish"):
                story.position += 1
                story.act(what, agent.name)
        if all(task.state == "spent" for task in story.dispatch.tasks.values()):
            break
    left = [task for task in story.dispatch.tasks.values() if task.state != "spent"]
    assert left == []
    counts = story.dispatch.counts
    assert counts.get("accepted", 0) + len(story.dispatch.tasks) == story.number
    assert set(counts) <= {"accepted"}
    assert sorted(story.board.spent) == sorted(story.dispatch.tasks)


def test_a_board_for_another_policy_takes_the_place_of_the_first() -> None:
    story = Story("pull_best")
    story.play("submit", "", "middle")
    first = story.board
    other = board_of(story.dispatch, distribution("jsq"))
    assert other is not first
    assert board_of(story.dispatch, distribution("jsq")) is other
    pick = other.pick(story.now)
    assert pick is not None
    assert pick.reason == "jsq"


def test_reservations_leave_no_trace() -> None:
    story = Story("pull_fair")
    for number in range(8):
        story.play("submit", "", "high" if number % 2 else "low")
    board: Board = story.board
    before: list[Pick] = []
    for _ in range(3):
        before = []
        while pick := board.pick(story.now):
            before.append(pick)
            board.reserve(pick)
        board.restore()
    placed = []
    while pick := board.pick(story.now):
        placed.append(pick)
        story.dispatch.assign(pick.key, pick.agent, story.now)
    assert placed == before
    assert len(placed) == sum(agent.wip for agent in AGENTS)
