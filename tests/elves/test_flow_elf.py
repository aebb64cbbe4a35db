"""The Flow elf: backlog with hysteresis, jam, one alert for each cause."""

from actors.elves.flow_elf import FlowElf
from events.decisions import ClearAlert, Decided, RaiseAlert
from events.observations import WorkerExited
from events.settings import Limits
from events.tasks import TaskFinished, TaskStarted
from tests.elves import Given, queue, settings


def story() -> Given:
    """Return a story in which the task unit `w` runs."""
    return Given(FlowElf()).born("w")


def only(decisions: list[Decided]) -> Decided:
    """Return the one decision there is."""
    (decided,) = decisions
    return decided


def moved(given: Given, service_ms: int = 10) -> Given:
    """Let one task end."""
    done = TaskFinished(
        task="t", queue="q", unit="w", generation=1, attempt=1, claim=1, service_ms=service_ms
    )
    return given.say(done, source="worker.w")


def test_backlog_is_raised_at_100_for_two_ticks_and_cleared_below_80() -> None:
    given = story()
    assert moved(given).tick(queues=[queue(90, 10)]).then() == []
    assert moved(given).tick(queues=[queue(90, 9)]).then() == []
    assert moved(given).tick(queues=[queue(90, 10)]).then() == []
    raised = only(moved(given).tick(queues=[queue(70, 30)]).then())
    assert raised.action == RaiseAlert(cause="backlog", severity="warning")
    assert (raised.reason, raised.cost) == ("backlog_high", 1)
    assert raised.inputs == {"backlog": 100, "pending": 70, "in_flight": 30, "limit": 100, "ticks": 2}
    for backlog in (100, 99, 81, 80, 120, 80):
        assert moved(given).tick(queues=[queue(backlog)]).then() == []
    cleared = only(moved(given).tick(queues=[queue(79)]).then())
    assert (cleared.action, cleared.cost) == (ClearAlert(cause="backlog"), 0)
    assert moved(given).tick(queues=[queue(99)]).then() == []


def test_a_queue_that_a_tick_does_not_name_is_unchanged_and_not_empty() -> None:
    given = story()
    moved(given).tick(queues=[queue(150)])
    assert only(moved(given).tick().then()).action == RaiseAlert(cause="backlog", severity="warning")
    assert moved(given).tick().then() == []


def test_an_open_alert_is_said_again_after_15_minutes_1_hour_and_every_6_hours() -> None:
    given = story()
    moved(given).tick(queues=[queue(150)]).tick()
    assert only([one for one in given.then() if one.rule == "backlog"]).reason == "backlog_high"
    waited, said = 0, list[int]()
    while len(said) < 5:
        given.tick(s=60)
        moved(given)
        waited += 60
        for decided in [one for one in given.then() if one.rule == "backlog"]:
            assert decided.action == RaiseAlert(cause="backlog", severity="warning", again=True)
            said.append(waited)
            waited = 0
    assert said == [900, 3600, 21600, 21600, 21600]


def test_without_renotify_steps_an_alert_is_said_once() -> None:
    given = Given(FlowElf(), settings(limits=Limits(renotify_s=(), queue_drain_s=1e9))).born("w")
    moved(given).tick(queues=[queue(150)]).tick()
    assert len(given.then()) == 1
    for _ in range(20):
        assert moved(given.tick(s=36_000)).then() == []


def test_work_waits_workers_live_and_nothing_moves_for_thirty_seconds_is_a_jam() -> None:
    given = story().tick(queues=[queue(3)])
    assert given.tick(s=25).then() == []
    jam = only(given.tick(s=5).then())
    assert jam.action == RaiseAlert(cause="jam", severity="critical")
    assert (jam.reason, jam.inputs["living"], jam.inputs["patience_s"]) == ("jam", ["w"], 30.0)
    assert given.tick().then() == []
    cleared = only(moved(given).tick().then())
    assert (cleared.action, cleared.reason) == (ClearAlert(cause="jam"), "moving")


def test_a_jam_with_nobody_pulling_says_so() -> None:
    given = story().tick(queues=[queue(3, pulls=0)])
    jam = only(given.tick(s=30).then())
    assert (jam.reason, jam.inputs["pulls"]) == ("jam_not_pulling", 0)
    assert "not pulling" in jam.text


def test_patience_grows_with_the_tasks() -> None:
    given = story()
    for _ in range(100):
        moved(given, service_ms=20_000)
    given.tick(queues=[queue(3)])
    moved(given, 20_000)
    assert given.tick(s=59).then() == []
    assert only(given.tick(s=1).then()).inputs["patience_s"] == 60.0


def test_no_worker_alive_is_no_jam_and_an_empty_queue_never_jams() -> None:
    given = story().tick(queues=[queue(3)])
    given.say(WorkerExited(unit="w", generation=1, pid=101, code=1))
    assert given.tick(s=300).then() == []
    given = story().tick(queues=[queue(0, 5)])
    assert given.tick(s=300).then() == []
    assert given.tick(queues=[queue(1, 5)]).then() == []


def test_a_claim_is_progress() -> None:
    given = story().tick(queues=[queue(3)])
    claim = TaskStarted(task="t", queue="q", unit="w", generation=1, pid=1, attempt=1, nonce="n")
    given.tick(s=28).say(claim, source="worker.w")
    assert given.tick(s=29).then() == []
    assert only(given.tick(s=1).then()).rule == "jam"
