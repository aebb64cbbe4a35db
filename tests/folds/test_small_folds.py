"""Alerts, mana, queues, standing, timeline, custody: what each keeps of the log."""

from typing import Any

import msgspec
from hypothesis import given, strategies
from hypothesis import settings as profile

from events.codec import canonical, decode, encode
from events.decisions import ClearAlert, ContinueUnit, Decided, Defer, RaiseAlert, StartUnit
from events.envelope import Recorded
from events.event import Event
from events.log import envelope
from events.observations import LeaseTaken, NodeStopping, QueueSample, Sampled
from events.outcomes import EffectFailed, EffectVerified
from events.proposals import ProposalApproved
from events.settings import ManaSettings, Settings
from events.subjects import subject_of
from events.tasks import (
    TaskCancelled,
    TaskDied,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)
from projections.alerts import Alerts
from projections.custody import Custody
from projections.mana import POINT, Mana
from projections.queues import Queues
from projections.standing import Standing
from projections.timeline import Timeline

SECOND = 1_000_000


def at(position: int, body: Event, time: int = 0, source: str = "node.n", id: str = "") -> Recorded:
    """Return an event as it stands in the log."""
    said = encode(envelope(id or f"e{position}", time, source, body))
    return decode(position, subject_of(source, body), said)


def decided(
    action: object, *, rule: str = "r", target: str = "a", mode: str = "act", cost: int = 0
) -> Decided:
    """Return a decision."""
    return Decided(
        elf="healing",
        rule=rule,
        target=target,
        action=action,  # type: ignore[arg-type]
        reason="because",
        text="text",
        trigger=1,
        as_of=1,
        epoch=1,
        ordinal=0,
        size=1,
        policy="healing",
        version="1",
        settings="s",
        mode=mode,  # type: ignore[arg-type]
        cost=cost,
    )


def test_an_alert_is_one_for_its_cause_and_target() -> None:
    alerts = Alerts({})
    raise_it = decided(RaiseAlert(cause="jam", severity="critical"), target="q")
    alerts.apply(raise_it, 10)
    alerts.apply(raise_it, 20)
    alerts.apply(decided(RaiseAlert(cause="backlog", severity="warning"), target="q"), 30)
    found = alerts.find("jam", "q")
    assert found is not None
    assert (found.opened, found.notified, found.count) == (10, 20, 2)
    alerts.apply(decided(ClearAlert(cause="jam"), target="q"), 40)
    alerts.apply(decided(ClearAlert(cause="jam"), target="other"), 40)
    assert list(alerts.open) == ["backlog/q"]


@profile(max_examples=200, deadline=None)
@given(
    strategies.lists(
        strategies.tuples(strategies.sampled_from(["spend", "refund", "time"]), strategies.integers(0, 500))
    )
)
def test_mana_stays_within_its_bounds_and_whole_milliseconds_make_it_exact(
    steps: list[tuple[str, int]],
) -> None:
    rules = ManaSettings(capacity=100, refill_per_hour=60, start=80)
    mana, now = Mana(), 1_000 * SECOND
    mana.refill(now, rules)
    for what, number in steps:
        if what == "spend":
            mana.spend(number % 30)
        elif what == "refund":
            mana.refund(number % 30, rules)
        else:
            now += number * SECOND
            mana.refill(now, rules)
        assert 0 <= mana.units <= 100 * POINT
        assert 0 <= mana.level <= 100


def test_mana_refills_by_forest_time_in_one_step_as_in_many() -> None:
    rules = ManaSettings(capacity=100, refill_per_hour=20, start=10)
    one, many = Mana(), Mana()
    for mana in (one, many):
        mana.refill(SECOND, rules)
    one.refill(1801 * SECOND, rules)
    for second in range(2, 1802):
        many.refill(second * SECOND, rules)
    assert one == many
    assert one.level == 20
    one.refill(5 * SECOND, rules)
    assert one == many


def test_the_time_at_which_something_is_affordable_is_the_first_one() -> None:
    rules = ManaSettings(capacity=100, refill_per_hour=60, start=25)
    mana = Mana()
    mana.refill(SECOND, rules)
    when = mana.affordable_at(10, 20, rules)
    assert when == 301 * SECOND
    mana.refill(when - 1000, rules)
    assert mana.level < 30
    mana.refill(when, rules)
    assert mana.level == 30


def test_a_queue_counts_ticks_over_the_limit_and_when_it_moved() -> None:
    queues, rules = Queues({}), Settings(node="n")
    for number, pending in enumerate((100, 99, 100, 100, 100), 1):
        queues.apply(
            at(number, Sampled(full=False, queues=(QueueSample("q", pending, 0, 1, 0),))), number, rules
        )
    queue = queues.get("q")
    assert (queue.over, queue.backlog, queue.moved_at) == (3, 100, 1)
    queues.apply(at(6, Sampled(full=False)), 6, rules)
    assert queue.over == 4
    queues.apply(at(7, TaskSubmitted(task="t", queue="q")), 7, rules)
    claim = TaskStarted(task="t", queue="q", unit="w", generation=1, pid=1, attempt=1, nonce="n")
    queues.apply(at(8, claim), 8, rules)
    assert (queue.submitted, queue.moved_at) == (1, 8)
    for number in range(9, 500):
        done = TaskFinished(
            task="t", queue="q", unit="w", generation=1, attempt=1, claim=1, service_ms=number
        )
        queues.apply(at(number, done), number, rules)
    assert (queue.ended, queue.moved_at) == (491, 499)
    assert 200 <= len(queue.services) <= 400
    assert queue.p99_ms() >= 490


def test_an_act_stands_until_its_own_outcome_and_words_stand_for_fifteen_minutes() -> None:
    standing = Standing({}, {}, {})
    start = decided(StartUnit(generation=1), cost=4)
    standing.note(at(1, start, id="d1"), start, 100)
    assert standing.busy("a")
    assert standing.settle(EffectVerified(decision="other", target="a")) is None
    effect = standing.settle(EffectFailed(decision="d1", target="a", error="no"))
    assert effect is not None
    assert (effect.cost, effect.rule, standing.busy("a")) == (4, "r", False)
    advice = decided(ContinueUnit(generation=1), mode="advise")
    standing.note(at(2, advice), advice, 100)
    assert not standing.busy("a")
    assert standing.repeats("r", "a", 100 + 900 * SECOND - 1)
    assert not standing.repeats("r", "a", 100 + 900 * SECOND)
    later = decided(Defer(wanted="restart_unit", until=500))
    standing.note(at(3, later), later, 100)
    assert standing.waits("r", "a", 499)
    assert not standing.waits("r", "a", 500)
    standing.note(at(4, start, id="d2"), start, 500)
    assert standing.deferred == {}


def test_what_was_said_lapses_and_a_snapshot_forgets_no_other_advice_than_the_fold_itself() -> None:
    standing = Standing()
    for number in range(2000):
        words = decided(ContinueUnit(generation=1), mode="advise", target=f"t{number}")
        standing.note(at(number, words, id=f"d{(number * 7919) % 2003}"), words, number * SECOND)
        later = decided(Defer(wanted="restart_unit", until=(number + 10) * SECOND), target=f"t{number}")
        standing.note(at(number, later), later, number * SECOND)
        if number % 97 == 0:
            # A snapshot keeps no order of keys.
            standing = msgspec.json.decode(canonical(standing), type=Standing)
    assert len(standing.advised) == 200
    assert len(standing.said) < 900 + 256
    assert len(standing.deferred) < 10 + 256
    assert all(standing.repeats("r", f"t{number}", 2000 * SECOND) for number in range(1101, 2000))
    for number in (1799, 1800):
        standing.answer(
            ProposalApproved(
                decision=f"d{(number * 7919) % 2003}", elf="healing", rule="r", about=f"t{number}"
            ),
            2000 * SECOND,
        )
    assert [standing.may("r", f"t{number}", 2000 * SECOND) for number in (1799, 1800)] == [False, True]


def test_forest_time_is_what_the_lease_holder_wrote_and_never_goes_back() -> None:
    timeline = Timeline()
    timeline.apply(at(1, LeaseTaken(holder="n"), 100))
    timeline.apply(at(2, TaskSubmitted(task="t", queue="q"), 900, "client.cli"))
    timeline.apply(at(3, Sampled(full=False), 800, "node.other"))
    assert (timeline.now, timeline.epoch, timeline.position) == (100, 1, 3)
    timeline.apply(at(4, Sampled(full=False), 300))
    timeline.apply(at(5, Sampled(full=False), 200))
    assert timeline.now == 300
    seen = []
    for node in ("other", "n"):
        timeline.apply(at(6, NodeStopping(node=node, reason="x"), 300))
        seen.append(timeline.stopping)
    assert seen == [False, True]
    timeline.apply(at(8, LeaseTaken(holder="m", previous=1), 50, "node.m"))
    assert (timeline.epoch, timeline.holder, timeline.stopping, timeline.now) == (8, "m", False, 300)


def test_a_claim_is_held_until_the_task_leaves_it_in_any_way() -> None:
    run: dict[str, Any] = {"task": "t", "queue": "q", "unit": "w", "generation": 1, "attempt": 1, "claim": 1}
    ways: tuple[Event, ...] = (
        TaskFinished(**run),
        TaskFailed(**run, kind="error", error="no"),
        TaskReleased(**run),
        TaskDied(task="t", queue="q", unit="w", attempts=1, kind="error", error="no"),
        TaskCancelled(task="t", queue="q"),
        TaskMoved(task="t", queue="q", to="other"),
    )
    for way in ways:
        custody = Custody({})
        claim = TaskStarted(
            task="t", queue="q", unit="w", generation=2, pid=1, attempt=1, nonce="n", delivery="$JS.ACK.x"
        )
        custody.apply(at(1, claim))
        assert [item.delivery for item in custody.held_by("w", 2)] == ["$JS.ACK.x"]
        assert custody.held_by("w", 1) == []
        assert custody.held_by("v", 2) == []
        custody.apply(at(2, way))
        assert custody.claims == {}
