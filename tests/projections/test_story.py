"""Stories: what a person reads about a task, a worker or a decision."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from events.decisions import Candidate, RestartUnit
from events.observations import ScaleSet, WorkerExited
from events.outcomes import EffectVerified, WorkerStartOrdered
from projections.phrases import LANGUAGES
from projections.query import run
from projections.story import LINES, Query, Story, story
from projections.warehouse import Warehouse
from tests.projections.scenes import Scene, asked, everything, stored


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with stored(tmp_path_factory.mktemp("story") / "w.duckdb", everything().events) as warehouse:
        yield warehouse


@pytest.fixture
def ask(warehouse: Warehouse) -> Query:
    return asked(warehouse)


def texts(told: Story | None) -> list[str]:
    assert told is not None
    assert [line.position for line in told.lines] == sorted(line.position for line in told.lines)
    assert all(line.time > 0 and line.text for line in told.lines)
    return [f"{line.position} {line.text}" for line in told.lines]


def test_a_task_from_asking_to_its_result(ask: Query) -> None:
    told = story(ask, "t1")
    assert told is not None
    assert (told.kind, told.id, told.title) == ("task", "t1", "Task t1 on queue q: done after 1 attempt(s)")
    assert texts(told) == [
        "7 client.c1 asked for t1 on queue q (thumb), priority high",
        "8 w-1 (generation 1, process 101) took t1, attempt 1",
        "10 w-1 finished t1 in 1.500 s: null",
    ]


def test_a_task_that_failed_went_back_died_and_was_salvaged(ask: Query) -> None:
    lines = [text.split(" ", 1)[1] for text in texts(story(ask, "t4"))]
    assert lines == [
        "client.c1 asked for t4 on queue q, priority middle",
        "w-1 (generation 1, process 101) took t4, attempt 1",
        "w-1 failed at t4, attempt 1 (error): boom",
        "w-1 (generation 1, process 102) took t4, attempt 2",
        "w-1 gave t4 back before its handler saw it: this attempt does not count",
        "w-1 (generation 1, process 102) took t4, attempt 2",
        "no attempt is left for t4 (crash): died with its worker; it is a dead letter",
        "w-1 brought a result of t4 after its end: kept, not merged",
    ]


def test_a_task_that_moved_and_one_that_was_cancelled(ask: Query) -> None:
    moved = story(ask, "t2")
    assert moved is not None
    assert moved.title == "Task t2 on queue r: waiting after 0 attempt(s)"
    assert "node.n1 moved t2 from q to r: -" in texts(moved)[1]
    assert "client.c1 cancelled t3: not needed" in texts(story(ask, "t3"))[1]


def test_a_task_whose_worker_died_tells_of_the_worker(tmp_path: Path) -> None:
    scene = Scene()
    scene.submit("x")
    lost = scene.start("x")
    died = scene.say(
        WorkerExited(unit="w-1", generation=1, pid=101, code=3, error="out of memory"), "node.n1"
    )
    decision = scene.decide(RestartUnit(generation=1), trigger=died, text="w-1 died, start it again")
    scene.say(EffectVerified(decision=decision, target="w-1"), "node.n1")
    claim = scene.start("x", "w-2", 2)
    scene.finish("x", lost)
    scene.finish("x", claim, "w-2", 2)
    with stored(tmp_path / "w.duckdb", scene.events) as warehouse:
        lines = texts(story(asked(warehouse), "x"))
    assert lines[2] == "3 w-1 (generation 1, process 101) ended with code 3: out of memory"
    assert lines[3].endswith(": w-1 died, start it again")
    assert lines[4] == "5 restart_unit for w-1 worked"
    assert lines[6] == "7 w-1 said finished of x under claim 2, not the last or ended: it does not count"


def test_a_decision_with_its_grounds_and_its_outcome(ask: Query) -> None:
    told = story(ask, "d000c")
    assert told is not None
    assert told.title == "Decision d000c: healing chose restart_unit for w-1 (verified)"
    assert texts(told) == [
        "11 what made healing look: worker_exited of w-1",
        "12 healing knew: pid = 101, signal = 9",
        "12 candidate restart (cost 1): taken",
        "12 candidate wait: not taken, no",
        "12 healing decided restart_unit for w-1 by rule crash (healing 1.0, act, 1 mana): w-1 crashed",
        "13 carrying out restart_unit for w-1 began",
        "14 generation 2 of w-1 was ordered",
        "15 generation 2 of w-1 runs as process 102",
        "16 step start passed its check in 12 ms: pid 102",
        "17 restart_unit for w-1 worked: alive",
    ]
    assert texts(story(ask, "d0012"))[-1] == "18 nothing came of it yet"


def test_a_prefix_must_be_unique_and_long_enough(ask: Query) -> None:
    assert story(ask, "d001") is None
    assert story(ask, "d") is None
    told = story(ask, "d000")
    assert told is not None
    assert told.id == "d000c"
    assert story(ask, "nobody") is None
    assert story(ask, "' OR 1=1 --") is None
    assert story(ask, "d0__") is None


def test_a_unit_and_its_pool(ask: Query) -> None:
    unit = story(ask, "w-1")
    assert unit is not None
    assert unit.title == "Worker w-1: starting, generation 2, 1 task(s) done, 2 error(s)"
    lines = texts(unit)
    assert lines[3] == "11 w-1 (generation 1, process 101) ended by signal 9"
    pool = story(ask, "w")
    assert pool is not None
    assert (pool.kind, pool.title) == ("worker", "Workers of w: 2 unit(s), 1 task(s) done, 2 error(s)")
    assert set(lines) < set(texts(pool))
    assert texts(pool)[-1] == "22 operator.ann wants w-2: stop: maintenance"


def test_a_pool_tells_who_set_its_size(tmp_path: Path) -> None:
    scene = Scene()
    scene.say(WorkerStartOrdered(unit="w-1", pool="w", generation=1, nonce="n"), "node.n1")
    scene.say(ScaleSet(pool="w", count=0, reason="night"), "operator.ann")
    scene.say(ScaleSet(pool="w", count=-1), "operator.ann")
    scene.say(ScaleSet(pool="other", count=3), "operator.ann")
    with stored(tmp_path / "w.duckdb", scene.events) as warehouse:
        told = [
            texts(story(asked(warehouse), name, tongue))[1:]
            for name in ("w", "w-1")
            for tongue in ("en", "ja")
        ]
    assert (
        told[0]
        == told[2]
        == [
            "2 operator.ann wants 0 process(es) of w: night",
            "3 operator.ann leaves the number of processes of w to the forest",
        ]
    )
    assert told[1][0] == "2 operator.ann の指示:w を 0 プロセスに: night"


def test_a_long_life_is_cut_at_its_beginning(tmp_path: Path) -> None:
    scene = Scene()
    for number in range(LINES + 7):
        scene.say(WorkerExited(unit="w-1", generation=number, pid=number, code=0), "node.n1")
    with stored(tmp_path / "w.duckdb", scene.events) as warehouse:
        told = story(asked(warehouse), "w-1")
    assert told is not None
    assert len(told.lines) == LINES + 1
    assert told.lines[0].text == "7 earlier line(s) left out"
    assert told.lines[-1].position == LINES + 7


def test_a_decision_with_strange_inputs_is_still_told(tmp_path: Path) -> None:
    scene = Scene()
    scene.submit("t")
    scene.decide(
        RestartUnit(generation=1),
        inputs={"text": "{braces} and " + "x" * 1000, "list": [1, {"a": None}]},
        candidates=(Candidate(name="{odd}", why_not="{why}"),),
        text="{not a template}",
    )
    with stored(tmp_path / "w.duckdb", scene.events) as warehouse:
        lines = texts(story(asked(warehouse), "d0002"))
    assert lines[1].startswith('2 healing knew: list = [1,{"a":null}], text = {braces} and xxx')
    assert len(lines[1]) < 400
    assert "{odd}" in lines[2]
    assert lines[3].endswith(": {not a template}")


def test_answers_that_went_through_json_tell_the_same(warehouse: Warehouse, ask: Query) -> None:
    def over_json(sql: str, parameters: Sequence[object]) -> list[dict[str, Any]]:
        cursor = warehouse.cursor()
        try:
            table = run(cursor, sql, parameters)
        finally:
            cursor.close()
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    for name in ("t1", "t4", "w-1", "w", "d000c"):
        assert story(over_json, name) == story(ask, name)


def test_japanese_says_the_same_lines(ask: Query) -> None:
    for name in ("t1", "t2", "t4", "w", "d000c", "d0014"):
        english, japanese = story(ask, name), story(ask, name, "ja")
        assert english is not None
        assert japanese is not None
        assert [line.position for line in english.lines] == [line.position for line in japanese.lines]
        assert all(mine.text != other.text for mine, other in zip(english.lines, japanese.lines, strict=True))
    assert "シグナル 9" in "".join(texts(story(ask, "w-1", "ja")))


def test_every_language_has_every_phrase_with_the_same_words() -> None:
    def words(phrase: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(phrase) if name}

    english = LANGUAGES["en"]
    for language, phrases in LANGUAGES.items():
        assert phrases.keys() == english.keys(), language
        for key, phrase in phrases.items():
            assert words(phrase) == words(english[key]), f"{language} {key}"
