"""Who may say what in the log, and what the node knows of its agents' tasks."""

import itertools

import pytest

from actors.agent_notes import end_of, left_behind
from actors.agent_words import AgentBeat, Progress
from actors.phases import entered
from events.agents import AgentIntentSet, AgentJoined, HandedOver, PhaseEntered
from events.authority import objection
from events.codec import decode, encode
from events.decisions import AssignTask, Decided, GiveUpTask, MarkAgent, PingAgent
from events.envelope import Malformed, Recorded
from events.event import Event
from events.log import MemoryLog, entry, envelope
from events.observations import LeaseTaken
from events.outcomes import EffectVerified
from events.settings import AgentSettings, QueueSettings, Settings, SettingsAdopted
from events.subjects import subject_of
from events.tasks import ResultSalvaged, TaskCancelled, TaskFinished, TaskStarted, TaskSubmitted
from projections.agency import Agency

STARTED = TaskStarted(task="t", queue="q", unit="A", generation=1, pid=1, attempt=1, nonce="n", lease=1)


def finished(unit: str, claim: int) -> TaskFinished:
    """Return a result."""
    return TaskFinished(task="t", queue="q", unit=unit, generation=1, attempt=1, claim=claim)


@pytest.mark.parametrize(
    ("subject", "source", "body"),
    [
        ("log.agent.A.task.q.t.started.1", "node.n", STARTED),
        ("log.agent.A.task.q.t.started.1", "agent.B", STARTED),
        ("log.agent.B.task.q.t.started.1", "agent.B", STARTED),
        ("log.agent.A.task.q.t.finished", "agent.A", STARTED),
        ("log.agent.A.task.q.t.cancelled", "agent.A", TaskCancelled(task="t", queue="q")),
        ("log.agent.A.task.q.t.submitted", "agent.A", TaskSubmitted(task="t", queue="q")),
        ("log.agent.A.agent_intent_set.B", "agent.A", AgentIntentSet(agent="B", intent="retire")),
        ("log.agent.A.phase_entered.A", "agent.A", PhaseEntered(agent="A", phase="full")),
        (
            "log.agent.A.agent_joined.B",
            "agent.A",
            AgentJoined(agent="B", run="r", pid=1, host="h", release="0"),
        ),
        ("log.agent.A.lease_taken.node", "agent.A", LeaseTaken(holder="A")),
    ],
)
def test_a_word_that_its_writer_may_not_say_is_malformed(subject: str, source: str, body: Event) -> None:
    assert objection(subject, source, body).startswith("expected")
    read = decode(1, subject, encode(envelope("i", 1, source, body)))
    assert isinstance(read.body, Malformed)


@pytest.mark.parametrize(
    "body",
    [
        STARTED,
        finished("A", 3),
        HandedOver(task="t", queue="q", agent="A", attempt=1, note={}),
        ResultSalvaged(task="t", queue="q", unit="A", generation=1, attempt=1),
        AgentJoined(agent="A", run="r", pid=1, host="h", release="0"),
    ],
)
def test_an_agent_says_its_own_word(body: Event) -> None:
    assert objection(subject_of("agent.A", body), "agent.A", body) == ""


class Log:
    """A log in memory and the fold that follows it."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.fold = Agency()
        self._numbers = itertools.count(1)
        self.say("node.n", LeaseTaken(holder="n"))
        settings = Settings(
            node="n",
            queues=(QueueSettings(name="q", serve="dispatch"),),
            agents=(AgentSettings(name="A"), AgentSettings(name="B")),
        )
        self.say("node.n", SettingsAdopted(origin="file", digest="d", settings=settings))
        for name in "AB":
            self.say(f"agent.{name}", AgentJoined(agent=name, run=f"r{name}", pid=1, host="h", release="0"))

    def say(self, source: str, body: Event) -> Recorded:
        """Append an event and fold it."""
        number = next(self._numbers)
        self.log.take([entry(envelope(f"e{number}", number * 1_000_000, source, body))])
        event = self.log.events[-1]
        self.fold.apply(event)
        return event

    def decide(self, target: str, action: object) -> Recorded:
        """Let the node decide."""
        decided = Decided(
            elf="x",
            rule="r",
            target=target,
            action=action,  # type: ignore[arg-type]
            reason="",
            text="",
            trigger=0,
            as_of=0,
            epoch=1,
            ordinal=0,
            size=1,
            policy="p",
            version="1",
            settings="d",
        )
        return self.say("node.n", decided)

    def assigned(self, agent: str, lease: int = 1) -> None:
        """Give task t to an agent."""
        task = self.fold.dispatch.tasks["q/t"]
        self.decide(
            "t",
            AssignTask(
                task="t",
                queue="q",
                agent=agent,
                lease=lease,
                attempt=1,
                submitted=task.submitted,
                after=task.after,
            ),
        )

    def claimed(self) -> Recorded:
        """Let agent A claim its lease of task t."""
        self.say("client.c", TaskSubmitted(task="t", queue="q"))
        self.assigned("A")
        return self.say("agent.A", STARTED)


def test_a_note_counts_from_the_node_and_from_who_has_had_the_task() -> None:
    log = Log()
    log.claimed()
    log.say("agent.B", HandedOver(task="t", queue="q", agent="B", attempt=1, note={"error": "made up"}))
    assert "q/t" not in log.fold.notes
    log.say("agent.A", HandedOver(task="t", queue="q", agent="A", attempt=1, note={"error": "mine"}))
    assert log.fold.notes["q/t"].note == {"error": "mine"}
    log.say("node.n", HandedOver(task="t", queue="q", agent="A", attempt=1, note={"error": "lost"}))
    assert log.fold.notes["q/t"].note == {"error": "lost"}


def test_who_held_a_task_that_has_ended_is_known_for_the_event_that_ended_it() -> None:
    log = Log()
    claim = log.claimed()
    log.say("operator.o", TaskCancelled(task="t", queue="q"))
    assert log.fold.touched is not None
    assert (log.fold.touched.agent, log.fold.touched.claim) == ("A", claim.position)
    assert "q/t" not in log.fold.dispatch.tasks


def test_what_is_left_behind_is_noted_for_each_claimed_task() -> None:
    log = Log()
    log.claimed()
    log.decide("A", MarkAgent(state="down"))
    beat = AgentBeat(
        agent="A", run="rA", holds=1, tasks=(Progress(task="t", queue="q", output=7, process="S"),)
    )
    (note,) = left_behind(log.fold, "A", beat)
    assert (note.task, note.agent, note.attempt) == ("t", "A", 1)
    assert note.note["progress"]["output"] == 7
    assert list(left_behind(log.fold, "B", beat)) == []
    (bare,) = left_behind(log.fold, "A", None)
    assert bare.note == {"error": "agent A was lost at its task"}


def test_acts_are_open_until_their_outcome() -> None:
    log = Log()
    ping = log.decide("A", PingAgent(number=1))
    assert log.fold.acts["A"].decision == ping.id
    log.say("node.n", EffectVerified(decision="another", target="A"))
    assert log.fold.acts
    log.say("node.n", EffectVerified(decision=ping.id, target="A"))
    assert not log.fold.acts


def test_a_task_given_up_waits_for_its_end_to_be_written() -> None:
    log = Log()
    log.claimed()
    action = GiveUpTask(task="t", queue="q", attempts=3, after=5, kind="timeout", error="late")
    decided = log.decide("t", action)
    assert log.fold.given_up["q/t"].decision == decided.id
    died = end_of(action)
    assert (died.kind, died.attempts, died.error) == ("timeout", 3, "late")
    log.say("node.n", died)
    assert not log.fold.given_up


def test_phases_follow_from_the_first_result_from_loss_and_from_promotion() -> None:
    log = Log()
    claim = log.claimed()

    def enters(event: Recorded) -> list[str]:
        found = [phase for _, phase in entered(event, log.fold)]
        for phase in found:
            log.say("node.n", phase)
        return [phase.phase for phase in found]

    assert enters(log.say("agent.A", finished("A", claim.position))) == ["full"]
    assert enters(log.decide("A", MarkAgent(state="suspect"))) == []
    assert enters(log.decide("A", MarkAgent(state="alive"))) == []
    assert enters(log.decide("A", MarkAgent(state="down"))) == ["monitor"]
    assert enters(log.decide("A", MarkAgent(state="recovering"))) == []
    assert enters(log.decide("A", MarkAgent(state="probation", wip=1))) == ["stepwise"]
    assert enters(log.decide("A", MarkAgent(state="alive"))) == ["full"]
