"""Replay finds nothing in an honest log, and exactly what depends on it after any change of code or log."""

import textwrap
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import projections.health
import projections.mana
import projections.queues
import projections.units
from actors.audit import Report, Span, replay
from actors.elves import Draft, View
from actors.elves.flow_elf import FlowElf, FlowState
from actors.elves.healing_elf import HealingElf
from events.codec import decode, encode
from events.decisions import Decided
from events.envelope import Envelope, Recorded
from events.observations import DeciderResumed, IntentSet, NodeStopping, Sampled, WorkerExited
from events.outcomes import Checkpointed, WorkerStartOrdered
from tests.replay import NODE, Forest, queue, settings, unit


def busy(lag: int = 0, ticks: int = 4) -> Forest:
    """A log in which both elves have decided: starts, a backlog that comes and goes, a crash, a stop."""
    forest = Forest(lag=lag)
    forest.lead(settings())
    forest.obey()
    forest.tick([unit("a"), unit("w", beat_ms=0)], [queue(120)])
    for _ in range(ticks):
        forest.tick(queues=[queue(130)])
    forest.tick(queues=[queue(10)])
    forest.say(WorkerExited(unit="a", generation=1, pid=1, signal=9))
    forest.obey()
    forest.tick([unit("a", 2, "T")])
    forest.tick()
    forest.tick()
    forest.obey()
    forest.say(IntentSet(target="w", intent="stop"), source="operator.cli")
    forest.obey()
    forest.tick()
    forest.land()
    return forest


def classes(report: Report) -> set[str]:
    return {item.cls for item in report.divergences}


def test_an_honest_log_replays_equal() -> None:
    report = replay(busy().source)
    assert report.divergences == []
    assert report.equal == report.decisions
    assert set(report.rules) == {
        "healing.start",
        "healing.crash",
        "healing.stopped",
        "healing.stop",
        "flow.backlog",
        "flow.jam",
    }


@given(
    st.integers(0, 6),
    st.lists(
        st.one_of(
            st.tuples(st.just("queue"), st.integers(0, 200)),
            st.tuples(st.just("unit"), st.sampled_from(["S", "T", "?", "R"])),
            st.tuples(st.just("exit"), st.sampled_from(["a", "w"])),
            st.tuples(st.just("intent"), st.sampled_from(["run", "stop"])),
            st.tuples(st.just("obey"), st.just(0)),
        ),
        max_size=40,
    ),
)
@hypothesis_settings(deadline=None, max_examples=150)
def test_replay_is_equal_however_late_decisions_reach_the_log(
    lag: int, script: list[tuple[str, Any]]
) -> None:
    forest = Forest(lag=lag)
    forest.lead(settings())
    for what, value in script:
        ordered = (event.body for event in forest.log.events)
        generation = max(
            (body.generation for body in ordered if isinstance(body, WorkerStartOrdered)), default=1
        )
        match what:
            case "queue":
                forest.tick(queues=[queue(value)], s=20)
            case "unit":
                forest.tick([unit("a", generation, value, beat_ms=40_000)])
            case "exit":
                forest.say(WorkerExited(unit=value, generation=generation, pid=1, code=1))
            case "intent":
                forest.say(IntentSet(target="a", intent=value), source="operator.cli")
            case _:
                forest.obey()
    forest.land()
    report = replay(forest.source)
    assert report.divergences == []
    assert report.equal == report.decisions


class _Stricter(FlowElf):
    """The same elf with another coefficient."""

    def decide(self, state: FlowState, view: View) -> list[Draft]:
        limits = msgspec.structs.replace(view.settings.limits, queue_backlog=125)
        return list(
            super().decide(
                state,
                View(
                    view.timeline,
                    msgspec.structs.replace(view.settings, limits=limits),
                    view.alerts,
                    view.standing,
                    view.controls,
                ),
            )
        )


def test_a_changed_coefficient_lists_exactly_the_decisions_that_depend_on_it() -> None:
    forest = busy()
    report = replay(forest.source, policies=(_Stricter(), HealingElf()))
    touched = {(item.elf, item.rule) for item in report.divergences}
    assert touched == {("flow", "backlog")}
    assert "limit" in msgspec.json.encode([item.replayed for item in report.divergences]).decode()
    assert report.equal == report.decisions - len({item.decision for item in report.divergences})


def without_line(module: Any, line: str) -> dict[str, Any]:
    """Compile a fold again with one of its lines deleted."""
    path = module.__file__
    with open(path, encoding="utf-8") as file:
        source = file.read()
    assert source.count(line) == 1, f"{line!r} must stand once in {path}"
    space: dict[str, Any] = {"__name__": module.__name__}
    exec(
        compile(
            source.replace(line, textwrap.indent("pass", " " * (len(line) - len(line.lstrip())))),
            path,
            "exec",
        ),
        space,
    )
    return space


@pytest.mark.parametrize(
    ("module", "owner", "method", "line", "rules"),
    [
        (
            projections.queues,
            "Queues",
            "_tick",
            "        queue.over = queue.over + 1 if queue.backlog >= settings.limits.queue_backlog else 0",
            {"backlog"},
        ),
        (
            projections.health,
            "Health",
            "_tick",
            "        signs.stopped = signs.stopped + 1 if stopped else 0",
            {"stopped"},
        ),
        (
            projections.units,
            "Units",
            "_exited",
            "        unit.alive = unit.ready = False\n",
            {"crash", "stop", "jam"},
        ),
    ],
    ids=["backlog", "stopped", "exited"],
)
def test_a_deleted_line_of_a_fold_is_found(
    monkeypatch: pytest.MonkeyPatch, module: Any, owner: str, method: str, line: str, rules: set[str]
) -> None:
    forest = busy()
    mutilated = without_line(module, line.rstrip("\n"))
    monkeypatch.setattr(getattr(module, owner), method, getattr(mutilated[owner], method))
    report = replay(forest.source)
    found = {item.rule for item in report.divergences}
    assert found
    assert found <= rules


def rewritten(forest: Forest, at: int, body: Any) -> list[Recorded]:
    """The log with one event's body replaced."""
    events = list(forest.log.events)
    old = events[at - 1]
    again = Envelope(id=old.id, time=old.time, source=old.source, cause=old.cause, body=body)
    events[at - 1] = decode(at, old.subject, encode(again))
    return events


def test_a_flipped_observation_shows_as_another_state() -> None:
    forest = busy()
    decision = next(
        event
        for event in forest.log.events
        if isinstance(event.body, Decided) and event.body.rule == "backlog"
    )
    assert isinstance(decision.body, Decided)
    sampled = forest.log.events[decision.body.as_of - 1].body
    assert isinstance(sampled, Sampled)
    events = rewritten(forest, decision.body.as_of, Sampled(full=False, queues=(queue(111),)))
    report = replay(lambda: iter([events]))
    assert "state" in classes(report)
    assert any(item.decision == decision.id and item.field == "inputs" for item in report.divergences)


def test_a_decision_taken_out_is_missing_and_one_put_in_is_extra() -> None:
    forest = busy()
    events = forest.log.events
    cut = next(event for event in events if isinstance(event.body, Decided) and event.body.rule == "crash")
    report = replay(lambda: iter([[event for event in events if event is not cut]]))
    assert "missing" in classes(report)
    assert isinstance(cut.body, Decided)
    forged = msgspec.structs.replace(cut.body, as_of=cut.body.as_of + 1, target="nobody")
    put_in = decode(
        len(events) + 1,
        cut.subject,
        encode(Envelope(id="forged", time=forest.now, source=NODE, body=forged)),
    )
    report = replay(lambda: iter([[*events, put_in]]))
    assert classes(report) == {"extra"}
    assert [item.decision for item in report.divergences] == ["forged"]


def test_a_decision_of_another_version_is_reported_apart() -> None:
    class Next(FlowElf):
        version = f"{FlowElf.version}+"

    report = replay(busy().source, policies=(Next(), HealingElf()))
    assert classes(report) == {"version"}
    assert not report.diverges
    assert set(report.other_versions) == {f"flow {FlowElf.version}"}


def test_a_policy_that_looks_at_the_clock_is_caught() -> None:
    import time

    class Impatient(FlowElf):
        def decide(self, state: FlowState, view: View) -> list[Draft]:
            time.time()
            return list(super().decide(state, view))

    report = replay(busy().source, policies=(Impatient(), HealingElf()))
    assert "impure" in classes(report)
    assert {item.replayed for item in report.divergences if item.cls == "impure"} == {"time.time"}


def test_what_somebody_else_s_end_logs_meanwhile_is_no_access(caplog: pytest.LogCaptureFixture) -> None:
    import logging

    class Interrupted(FlowElf):
        def decide(self, state: FlowState, view: View) -> list[Draft]:
            # As a finalizer does that the collector runs just now.
            logging.getLogger("another").error("a task was destroyed")
            return list(super().decide(state, view))

    report = replay(busy().source, policies=(Interrupted(), HealingElf()))
    assert report.divergences == []
    assert "a task was destroyed" in caplog.text


def test_what_a_dying_node_could_not_write_any_more_is_no_divergence() -> None:
    forest = Forest(lag=1000)
    forest.lead(settings())
    report = replay(forest.source)
    assert report.divergences == []
    assert report.unwritten == 2
    forest.tick(s=200)
    forest.say(NodeStopping(node="n", reason="test"))
    assert "missing" in classes(replay(forest.source))


def test_an_elf_that_was_away_is_not_expected_to_have_decided() -> None:
    forest = Forest(policies=(HealingElf(),))
    forest.lead(settings())
    forest.obey()
    forest.tick(s=20)
    forest.silence()
    after = len(forest.log.events)
    forest.say(WorkerExited(unit="a", generation=1, pid=1, signal=9))
    # Longer than the recorder tries: no elf has a batch on its way for so long.
    forest.tick(s=200)
    assert classes(replay(forest.source, Span(elf="healing"))) == {"missing"}
    forest.say(DeciderResumed(elf="healing", after=after, error="boom"))
    report = replay(forest.source, Span(elf="healing", end=after + 2))
    assert report.divergences == []


def test_a_wrong_checkpoint_digest_is_a_state_divergence() -> None:
    forest = Forest(policies=())
    forest.lead(settings())
    position = len(forest.log.events)
    forest.say(Checkpointed(elf="flow", as_of=position, digest="0" * 32))
    report = replay(forest.source, Span(elf="flow"))
    assert [(item.cls, item.field) for item in report.divergences] == [("state", "checkpoint")]
