"""From drafts to decisions: the same everywhere, within its mode, within its mana, one act at a time."""

import hashlib
import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given as generate
from hypothesis import settings as profile
from hypothesis import strategies as st

from actors.config import MANA
from actors.elves.deliberation import (
    decision_id,
    decode_mind,
    deliberate,
    digest_of,
    encode_mind,
    fold,
    is_trigger,
    new_mind,
)
from actors.elves.healing_elf import HealingElf
from actors.policies import POLICIES
from events.codec import canonical
from events.decisions import ContinueUnit, Decided, Defer, QuarantineUnit, RestartUnit, StartUnit, StopUnit
from events.observations import IntentSet, LeaseTaken
from events.settings import ElfSettings, Limits, ManaSettings, RestartSettings, WorkerSettings
from projections.mana import POINT
from tests.elves import NODE, SECOND, Given, sample, settings

ROOT = Path(__file__).parents[2]
ACTS = StartUnit | StopUnit | RestartUnit | ContinueUnit


def elf(**changes: object) -> Given:
    """Return the Healing elf with settings of its own over the unit `a`."""
    mine = ElfSettings(name="healing", **changes)  # type: ignore[arg-type]
    workers = (WorkerSettings(name="a", units=("a",), memory_limit=1000, launch="1"),)
    return Given(HealingElf(), settings(workers=workers, elves=(mine,)))


def only(decisions: list[Decided]) -> Decided:
    """Return the one decision there is."""
    (decided,) = decisions
    return decided


# --- mana --------------------------------------------------------------------------------------------------


def test_the_first_level_is_what_the_settings_say() -> None:
    assert elf(mana=ManaSettings(start=30)).mind.mana.level == 30
    assert Given(HealingElf()).mind.mana.level == 80


def test_an_act_that_cannot_be_paid_is_put_off_and_decided_anew_when_it_can() -> None:
    story = elf(mana=ManaSettings(start=25)).born("a").tick(sample("a", memory=950)).tick()
    deferred = only(story.then())
    assert isinstance(deferred.action, Defer)
    assert (deferred.action.wanted, deferred.cost, deferred.reason) == ("restart_unit", 0, "mana")
    assert (deferred.inputs["mana"], deferred.inputs["cost"]) == (25, 10)
    # 60 points an hour: five more points take five minutes, those of the story's ten seconds included.
    assert (deferred.action.until - story.now) / SECOND == pytest.approx(290, abs=0.01)
    assert story.due == pytest.approx(290, abs=0.01)
    assert story.tick().then() == []
    story.tick(s=story.due)
    act = only(story.then())
    assert (act.action, act.cost) == (RestartUnit(generation=1, drain=True), 10)
    assert story.mind.mana.level == 20


def test_what_was_put_off_is_forgotten_when_it_is_no_longer_needed() -> None:
    story = elf(mana=ManaSettings(start=25)).born("a").tick(sample("a", memory=950)).tick()
    assert isinstance(only(story.then()).action, Defer)
    story.tick(sample("a", memory=100), s=600)
    assert story.then() == []


def test_success_gives_half_back_and_failure_nothing() -> None:
    for good, level in ((True, 75), (False, 70)):
        story = (
            elf(mana=ManaSettings(start=80, refill_per_hour=0)).born("a").tick(sample("a", memory=950)).tick()
        )
        act = only(story.then())
        assert story.mind.mana.level == 70
        _ = story.verify(act) if good else story.fail(act)
        assert story.mind.mana.level == level


def test_crash_restarts_are_free_even_without_mana() -> None:
    story = elf(mana=ManaSettings(start=0)).born("a").died("a", s=20)
    assert only(story.then()).action == StartUnit(generation=2)


# --- modes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_an_elf_that_may_not_act_says_the_same_at_most_every_15_minutes_for_nothing(mode: str) -> None:
    story = elf(mode=mode)
    said = []
    for _ in range(400):
        said += [(story.now, decided) for decided in story.then()]
        story.tick(s=5)
    assert [decided.mode for _, decided in said] == [mode] * 3
    assert {decided.cost for _, decided in said} == {0}
    assert [(later - earlier) / SECOND for (earlier, _), (later, _) in itertools.pairwise(said)] == [
        900,
        900,
    ]
    assert story.mind.mana.level == 80 + 20


def test_an_observed_quarantine_holds_nobody_back() -> None:
    workers = (WorkerSettings(name="a", units=("a",), launch="1", restart=RestartSettings(burst=1)),)
    mine = ElfSettings(name="healing", rules={"quarantine": "observe"})
    story = Given(HealingElf(), settings(workers=workers, elves=(mine,))).born("a").died("a", s=1)
    assert {decided.mode for decided in story.then()} == {"observe"}
    assert story.mind.own.units.get("a").quarantined_until == 0
    assert story.mind.view.alerts.open == {}


# --- numbers -----------------------------------------------------------------------------------------------


def test_a_batch_is_numbered_and_says_what_it_rests_on() -> None:
    story = Given(HealingElf())
    first, second, third = story.ask()
    assert [decided.target for decided in (first, second, third)] == ["a", "b", "w"]
    assert [(decided.ordinal, decided.size) for decided in (first, second, third)] == [(0, 3), (1, 3), (2, 3)]
    assert {(decided.as_of, decided.trigger, decided.epoch) for decided in (first, second, third)} == {
        (2, 2, 1)
    }
    assert first.inputs_digest == digest_of(first.inputs)
    assert first.settings == digest_of(settings())
    assert len({decision_id(decided) for decided in (first, second, third)}) == 3


def test_a_decision_of_an_older_epoch_is_not_an_elfs_own() -> None:
    story = Given(HealingElf())
    old = story.ask()[0]
    story.say(LeaseTaken(holder="n", previous=1))
    story.say(old, id=decision_id(old))
    assert not story.mind.view.standing.busy("a")


def test_triggers_are_what_the_policy_names() -> None:
    story = Given(HealingElf()).tick()
    assert is_trigger(story.policy, story.events[-1])
    assert not is_trigger(story.policy, story.events[0])


# --- the same everywhere -----------------------------------------------------------------------------------

OPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "tick",
                "stopped",
                "unknown",
                "swollen",
                "die",
                "stop",
                "run",
                "pause",
                "restart",
                "settle",
                "fail",
                "wait",
            ]
        ),
        st.sampled_from(["a", "b"]),
        st.floats(0.01, 400, allow_nan=False),
    ),
    max_size=60,
)


def play(operations: list[tuple[str, str, float]], check: bool = True) -> Given:
    """Let a story happen, the elf deciding after each step; with `check` each decision keeps the rules."""
    workers = tuple(
        WorkerSettings(
            name=name, units=(name,), memory_limit=1000, launch="1", restart=RestartSettings(burst=3)
        )
        for name in "ab"
    )
    story = Given(HealingElf(), settings(workers=workers, limits=Limits(steady_s=5)))
    open_acts: dict[str, Decided] = {}
    for what, unit, seconds in operations:
        step(story, what, unit, seconds, open_acts)
        before = dict(open_acts)
        for decided in story.then():
            if check:
                holds(story, decided, before)
            if isinstance(decided.action, ACTS):
                assert decided.target not in open_acts
                open_acts[decided.target] = decided
        assert 0 <= story.mind.mana.units <= 100 * POINT
        assert set(story.mind.view.standing.effects) == set(open_acts)
    return story


def holds(story: Given, decided: Decided, before: dict[str, Decided]) -> None:
    """What no decision may break."""
    unit = story.mind.own.units.get(decided.target)
    if isinstance(decided.action, ACTS):
        assert decided.target not in before, "a second act while the first is open"
    match decided.action:
        case StartUnit(generation=generation):
            assert unit.intent != "stop"
            assert not unit.alive
            assert generation == unit.generation + 1
        case RestartUnit(generation=generation) | StopUnit(generation=generation):
            assert unit.alive
            assert generation == unit.generation
        case QuarantineUnit(until=until):
            assert until > story.now
        case Defer(until=until):
            assert until > story.now
        case _:
            pass


def step(story: Given, what: str, name: str, seconds: float, open_acts: dict[str, Decided]) -> None:
    """One thing happens."""
    unit = story.mind.own.units.get(name)
    generation = unit.generation
    letter = {"stopped": "T", "unknown": "?"}.get(what, "S")
    match what:
        case "tick" | "stopped" | "unknown":
            story.tick(sample(name, letter, generation=generation), s=min(seconds, 5))
        case "swollen":
            story.tick(sample(name, generation=generation, memory=999), s=min(seconds, 5))
        case "wait":
            story.tick(s=seconds)
        case "die" if unit.alive:
            story.died(name, generation, s=min(seconds, 10))
        case "stop" | "run" | "pause":
            story.say(IntentSet(target=name, intent=what), source="operator.cli")
        case "restart":
            story.say(IntentSet(target=name, intent="run", restart=True), source="operator.cli")
        case "settle" | "fail" if name in open_acts:
            decided = open_acts.pop(name)
            if what == "settle":
                carry_out(story, decided)
            _ = story.verify(decided) if what == "settle" else story.fail(decided)
        case _:
            story.tick(s=0.5)


def carry_out(story: Given, decided: Decided) -> None:
    """Let an act have its effect."""
    unit = story.mind.own.units.get(decided.target)
    if unit.alive and isinstance(decided.action, StopUnit | RestartUnit):
        story.died(decided.target, unit.generation)
    if isinstance(decided.action, StartUnit | RestartUnit):
        story.born(decided.target, unit.generation + 1)


@profile(max_examples=150, deadline=None)
@generate(OPS)
def test_whatever_happens_mana_lasts_intents_hold_and_acts_come_one_by_one(
    operations: list[tuple[str, str, float]],
) -> None:
    play(operations)


@profile(max_examples=50, deadline=None)
@generate(OPS)
def test_the_same_events_make_the_same_mind_byte_for_byte(operations: list[tuple[str, str, float]]) -> None:
    first = play(operations, check=False)
    mind = new_mind(first.policy)
    for number, event in enumerate(first.events):
        if number == len(first.events) // 2:
            mind = decode_mind(first.policy, encode_mind(mind))
        fold(first.policy, mind, event)
    assert encode_mind(mind) == encode_mind(first.mind)
    again = deliberate(first.policy, mind, len(first.events))
    assert [canonical(decided) for decided in again] == [canonical(decided) for decided in first.ask()]


PROGRAM = "from tests.elves.test_deliberation import story_digest; print(story_digest())"


def story_digest() -> str:
    """Digest all decisions and the mind of a long story that is always the same."""
    chance = random.Random(5)
    words = [
        "tick",
        "stopped",
        "unknown",
        "swollen",
        "die",
        "stop",
        "run",
        "pause",
        "restart",
        "settle",
        "wait",
    ]
    story = play([(chance.choice(words), chance.choice("ab"), chance.uniform(0.1, 60)) for _ in range(1500)])
    whole = hashlib.blake2b(encode_mind(story.mind))
    for event in story.events:
        if isinstance(event.body, Decided):
            whole.update(canonical(event.body))
    assert sum(isinstance(event.body, Decided) for event in story.events) > 50
    return whole.hexdigest()


def test_decisions_do_not_depend_on_the_seed_of_hashes() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "012"
    }
    assert digests == {story_digest() + "\n"}


def test_every_policy_has_a_name_of_its_own_and_triggers() -> None:
    names = [policy.name for policy in POLICIES]
    assert len(set(names)) == len(names)
    assert set(names) <= set(MANA)
    for policy in POLICIES:
        assert policy.triggers
        assert Given(policy).say(LeaseTaken(holder="m"), source=NODE).mind.view.timeline.holder == "m"
