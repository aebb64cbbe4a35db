"""What elves and executors write into the log comes out in Japanese where a person reads it, with every value in it."""

import re
from typing import Any, get_args

import pytest

from actors.faces.reasons import FIELD, fault, lines, reason, spoken
from events.agents import AgentState
from events.decisions import Decided, Propose
from events.outcomes import EffectFailed, EffectVerified, StepDone
from tests.faces.log_texts import log_texts
from tests.histories import FOLDER, load

# For a worker's own log and for an agent's order; what follows is always an ending, see the examples below.
_OTHERS = {"reminder: {words}{late}", "{removeprefix} by {source}", " by {value}", " with {code}"}
VALUE = re.compile(r"«\w+»")
ENGLISH = re.compile(r"(?!elf mode )\b[a-z]+ [a-z]+ [a-z]+", re.IGNORECASE)


def filled(text: str) -> list[str]:
    """Put values that stand nowhere else in for fields, every state for a state; a part gets what stands beside it."""
    numbers = iter(range(1, 100))
    text = re.sub(r"\{(?!state\})(\w+)\}", lambda found: f"«{found[1]}{next(numbers)}»", text)
    text = f"«text»{text}" if text[0] in " ,;" else text
    text = f"{text}«text»" if text[-1] == " " else text
    return [text.replace("{state}", state) for state in get_args(AgentState)] if "{state}" in text else [text]


def test_every_text_of_elves_and_executors_has_japanese_words_and_keeps_its_values() -> None:
    found = [(form, place) for text, place in log_texts() if text not in _OTHERS for form in filled(text)]
    assert len(found) > 290
    assert [
        f"{place}: {form}"
        for form, place in found
        if (told := reason(form, "ja")) == form or set(VALUE.findall(form)) - set(VALUE.findall(told))
    ] == []


def test_every_line_of_the_catalogue_has_the_same_fields_and_stands_once() -> None:
    def names(text: str) -> set[str]:
        return {found[1] for found in FIELD.finditer(text)}

    assert [english for english, told in lines() if names(english) != names(told)] == []
    assert len({english for english, _ in lines()}) == len(lines())


def recorded(body: object) -> list[str]:
    """Return what an event says to people; the words of a reminder are a person's own."""
    match body:
        case Decided(action=Propose() as item):
            return [body.text, item.claim, item.gain, item.risk, item.rollback]
        case Decided(elf=elf, text=text) if elf != "time":
            return [text, *(one.why_not for one in body.candidates)]
        case StepDone(detail=text) | EffectVerified(detail=text) | EffectFailed(error=text):
            return [text]
        case _:
            return []


def test_nothing_that_real_elves_said_keeps_a_run_of_english_words() -> None:
    paths = sorted((FOLDER / "rules").glob("*.jsonl.gz"))
    found = {text for path in paths for event in load(path) for text in recorded(event.body) if text}
    assert len(found) > 400
    assert sorted(text for text in found if ENGLISH.search(reason(text, "ja"))) == []


@pytest.mark.parametrize(
    ("english", "told"),
    [
        ("simple_task-1 is wanted and does not run", "simple_task-1: 稼働すべきだが停止中"),
        ("simple_task ended: killed by signal 9", "simple_task: 終了(シグナル 9 で停止)"),
        ("pid 24687 runs", "プロセス 24687 が稼働"),
        (
            "a1 could not be brought back: expected a1 to join within 30 s, got nothing; next try in 60 s",
            "a1: 復旧できず: 期待: 30 秒以内に a1 の参加 / 実際: なし。次の試行は 60 秒後",
        ),
        (
            "t1 to a2 instead of a1: nobody else may take it; others: 3 idle for less time, 1 paused",
            "t1 を a1 の代わりに a2 へ: ほかに担当できる者なし。ほか: 待機が短い(3)、一時停止(1)",
        ),
        (
            "restart_unit put off: 10 points of mana needed, 3 there; a-1 has given no beat for 31 s",
            "restart_unit を延期: 必要マナ 10、残り 3。a-1: 31 秒間ハートビートなし",
        ),
        ("job b failed, 3 times in a row: boom: is down", "ジョブ b: 失敗(連続 3 回): boom: is down"),
        (
            "t1 failed 3 times, at last: ValueError: failed to connect: refused",
            "t1 は 3 回失敗、最後のエラー: ValueError: failed to connect: refused",
        ),
        (
            "mail gets 2.31 times as many tasks on Mondays from 9 to 12 h as on other such days",
            "mail のタスクは月曜 9~12 時に、ほかの日の 2.31 倍",
        ),
        ("a1: 5.0 MB before, 4.0 MB after; a2 did not answer", "a1: 5.0 MB から 4.0 MB へ、a2: 応答なし"),
        ("nobody translated this", "nobody translated this"),
    ],
)
def test_texts(english: str, told: str) -> None:
    assert reason(english, "ja") == told
    assert reason(english, "en") == english


def test_what_a_handler_raised_stays_in_its_own_words() -> None:
    killed = "the runner a-1 (generation 3) ended by signal 9 (SIGKILL; out of memory?) in attempt 2 while it executed"
    assert fault(f"{killed} the task", "ja") == (
        "ランナー a-1(第 3 世代)が 2 回目の試行で終了: シグナル 9(SIGKILL。メモリ不足か)(タスクの実行中)"
    )
    assert fault("failed to connect: refused", "ja") == "failed to connect: refused"
    assert fault("the handler's process ended: signal 9 (SIGKILL; out of memory?)", "ja") == (
        "ハンドラーのプロセスが終了: シグナル 9(SIGKILL。メモリ不足か)"
    )
    assert fault("expected an end within 5 s, got none", "ja") == "期待: 5 秒以内の終了 / 実際: なし"


def test_an_answer_to_a_page_is_said_anew_and_stays_as_it_was() -> None:
    row: dict[str, Any] = {"name": "a-1", "text": "a-1 runs again", "inputs": {"text": "a-1 runs again"}}
    page = {"alerts": [row], "position": 7}
    assert spoken(page, "en") is page
    assert spoken(page, "ja") == {"alerts": [row | {"text": "a-1: 再び稼働"}], "position": 7}
    assert row["text"] == "a-1 runs again"
