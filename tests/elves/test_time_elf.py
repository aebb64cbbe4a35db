"""The Time elf beside reminders: jobs and their escalation, announcements, maintenance, when to restart what."""

import random

from actors.elves.time_elf import TimeElf
from events.decisions import (
    ClearAlert,
    Escalate,
    Prepare,
    ProposeMaintenance,
    ProposeRestart,
    RaiseAlert,
    Remind,
    RunJob,
)
from events.jobs import JobFinished, JobOutcome, PublicationOpened, PublicationRefused
from events.outcomes import EffectFailed
from events.reminders import ReminderAdded, ReminderRemoved
from events.settings import JobSettings, Settings
from events.tasks import TaskFinished, TaskSubmitted
from projections.hours import WEEK
from tests.elves import SECOND, Given, sample, settings

HOUR = 3600.0


def with_job(**more: object) -> Given:
    """Return a forest with a job every 15 minutes, at a full hour."""
    job = JobSettings(name="check", every="15m", kind="monitor", **more)  # type: ignore[arg-type]
    given = Given(TimeElf()).tick(s=HOUR - given_rest())
    return given.adopt(settings(jobs=(job,)))


def given_rest() -> float:
    """Return the seconds that stories begin behind a full hour."""
    return Given(TimeElf()).now / SECOND % HOUR


def run(given: Given, outcome: JobOutcome, s: float = 900.0) -> list[object]:
    """Let the job come up and end so; returns the actions that follow."""
    given.tick(s=s)
    (ordered,) = [each for each in given.then() if each.rule == "job"]
    assert isinstance(ordered.action, RunJob)
    decision = given.events[-1].id
    ok = outcome == "done"
    given.say(JobFinished(job="check", decision=decision, kind="monitor", ok=ok, outcome=outcome, tail="no"))
    given.verify(ordered) if ok else given.say(EffectFailed(decision=decision, target="check", error=outcome))
    return [each.action for each in given.then() if each.rule == "job_failure"]


def test_failures_in_a_row_are_said_louder_and_louder_and_their_end_once() -> None:
    given = with_job()
    given.then()
    assert run(given, "done") == []
    assert run(given, "failed") == [RaiseAlert(cause="job", severity="warning")]
    assert run(given, "interrupted") == [], "it tells nothing about what is checked"
    assert run(given, "timeout") == [RaiseAlert(cause="job", severity="critical", again=True)]
    assert run(given, "refused") == [Escalate(cause="job", times=3)]
    assert run(given, "failed") == []
    assert run(given, "failed") == []
    assert run(given, "failed") == [Escalate(cause="job", times=6)]
    assert run(given, "done") == [ClearAlert(cause="job")]
    assert run(given, "failed") == [RaiseAlert(cause="job", severity="warning")]


def test_a_job_whose_failures_are_only_logged_calls_nobody() -> None:
    given = with_job(escalate=False)
    given.then()
    for _ in range(4):
        assert run(given, "failed") == []


def test_what_falls_into_a_run_that_lasts_is_run_once_after_it() -> None:
    given = with_job()
    given.then()
    given.tick(s=900)
    (first,) = given.then()
    for _ in range(3):
        assert given.tick(s=900).then() == []
    given.verify(first)
    (second,) = given.then()
    assert isinstance(second.action, RunJob)
    assert isinstance(first.action, RunJob)
    assert second.action.due - first.action.due == 2700 * SECOND
    assert given.then() == []


def test_reminders_of_people_come_and_go_and_only_theirs() -> None:
    given = Given(TimeElf())
    added = ReminderAdded(reminder="r1", worker="a", when="every 1m", text="stand up")
    given.say(added, source="worker.w").tick(s=120)
    assert given.then() == [], "a worker is no person"
    given.say(added, source="operator.cli")
    given.say(ReminderAdded(reminder="r2", worker="a", when="soon", text="?"), source="operator.cli")
    (decided,) = given.tick(s=60).then()
    assert isinstance(decided.action, Remind)
    assert decided.target == "r1"
    given.verify(decided)
    given.say(ReminderRemoved(reminder="r1"), source="operator.cli")
    assert given.tick(s=600).then() == []


def test_maintenance_is_proposed_for_the_quietest_two_hours() -> None:
    """The true minimum in at least 95 % of synthetic weeks."""
    right = 0
    rng = random.Random(7)
    for _ in range(40):
        given = Given(TimeElf(), Settings(node="n"))
        given.now = 1_767_571_200 * SECOND  # a Monday, midnight
        load = [rng.randint(300_000, 900_000) for _ in range(WEEK)]
        quiet = rng.randrange(WEEK - 1)
        load[quiet] = load[quiet + 1] = 20_000
        mind = given.mind
        for hour in range(3 * WEEK):
            slot = mind.own.hours.busy.setdefault(str(hour % WEEK), [])
            slot.append(round(load[hour % WEEK] * rng.uniform(0.85, 1.15)))
        given.tick(s=5)
        (decided,) = given.then()
        assert isinstance(decided.action, ProposeMaintenance)
        assert decided.mode == "advise"
        start = decided.action.start // SECOND
        right += (start // 3600 + 72) % WEEK == quiet
        assert given.tick(s=3600).then() == [], "once a week"
    assert right >= 38


def test_hours_are_folded_from_work_and_batches_are_announced_ten_minutes_before() -> None:
    given = Given(TimeElf(), settings())
    given.now = 1_767_571_200 * SECOND
    for hour in range(4 * WEEK):
        many = 60 if hour % WEEK == 34 else 1
        for _ in range(many):
            given.say(TaskSubmitted(task="t", queue="q", kind="report"), source="client.cli")
        given.tick(s=HOUR / 2).tick(s=HOUR / 2)
        del given.events[:-2]
    given.tick(s=33 * HOUR)
    assert [each for each in given.then() if each.rule == "prepare"] == []
    given.tick(s=HOUR - 600)
    (decided,) = [each for each in given.then() if each.rule == "prepare"]
    assert isinstance(decided.action, Prepare)
    assert (decided.action.queue, decided.action.kind, decided.action.expected) == ("q", "report", 60)
    assert decided.action.confidence >= 0.8
    assert [each for each in given.tick(s=60).then() if each.rule == "prepare"] == [], "once"


def work(given: Given, generation: int, spent: int, count: int) -> None:
    """Let the unit end tasks of this service time."""
    for _ in range(count):
        done = TaskFinished(
            task="t", queue="q", unit="w", generation=generation, attempt=1, claim=1, service_ms=spent
        )
        given.say(done, source="worker.w")


def test_a_restart_is_proposed_where_earlier_ones_undid_the_drift() -> None:
    given = Given(TimeElf()).born("w")
    work(given, 1, 100, 20)
    work(given, 1, 200, 100)
    assert given.tick().then() == [], "nobody knows yet whether a restart helps"
    given.died("w").born("w", 2)
    work(given, 2, 100, 20)
    assert given.tick().then() == []
    work(given, 2, 200, 100)
    (decided,) = given.tick().then()
    assert isinstance(decided.action, ProposeRestart)
    assert (decided.target, decided.action.generation, decided.mode) == ("w", 2, "advise")
    assert decided.inputs["what"] == "service time"
    assert given.tick(s=3600).then() == [], "once for a generation"
    given.died("w", 2).born("w", 3)
    work(given, 3, 200, 200)
    assert given.tick().then() == [], "slow from the start is no drift"


def test_memory_that_a_restart_gives_back_is_a_drift_too() -> None:
    given = Given(TimeElf()).born("a")
    given.tick(sample("a", memory=100), s=601).tick(sample("a", memory=130), s=3600)
    assert given.then() == []
    given.died("a").born("a", 2)
    given.tick(sample("a", generation=2, memory=100), s=601).tick(
        sample("a", generation=2, memory=130), s=3600
    )
    (decided,) = given.then()
    assert decided.inputs["what"] == "memory"


def test_refused_publications_are_one_alert_until_one_is_opened() -> None:
    given = Given(TimeElf())
    given.say(PublicationRefused(key="k", error="no right", final=False))
    (raised,) = given.then()
    assert raised.action == RaiseAlert(cause="publication", severity="critical")
    given.say(PublicationRefused(key="k", error="no right", final=False))
    assert given.then() == []
    given.say(PublicationOpened(key="k", number=1, url="u"))
    (cleared,) = given.then()
    assert cleared.action == ClearAlert(cause="publication")


def test_a_state_survives_its_snapshot() -> None:
    from actors.elves.deliberation import decode_mind, encode_mind

    given = with_job()
    given.born("w").tick(sample("w"))
    work(given, 1, 100, 30)
    given.then()
    assert encode_mind(decode_mind(given.policy, encode_mind(given.mind))) == encode_mind(given.mind)
