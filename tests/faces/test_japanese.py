"""Every sentence of the sources about what goes wrong comes out in Japanese, with every value in it."""

import re

import pytest

from actors.faces.japanese import catalogue, japanese, parts
from tests.faces.console import Elf
from tests.faces.sentences import needs_words, sentences

FIELD = re.compile(r"\{(\w+)\}")


def filled(template: str) -> str:
    """Put a value that stands nowhere else in for every field."""
    return FIELD.sub(lambda found: f"«{found[1]}»", template)


def test_every_sentence_has_japanese_words_and_keeps_its_values() -> None:
    wrong = []
    count = 0
    same = {FIELD.sub("", english) for english, told in catalogue() if english == told}
    for template, place in sentences():
        count += 1
        for kind, part in parts(filled(template)):
            bare = re.sub(r"«\w+»", "", part)
            if kind == "place" or not needs_words(bare):
                continue
            told = japanese(part if kind == "said" else f"expected {part}").removeprefix("期待: ")
            if (told == part and bare not in same) or any(
                value not in told for value in re.findall(r"«\w+»", part)
            ):
                wrong.append(f"{place}: {part}")
    assert count > 350
    assert wrong == []


def test_every_line_of_the_catalogue_has_the_same_fields_and_stands_once() -> None:
    lines = catalogue()
    assert [
        english for english, told in lines if set(FIELD.findall(english)) != set(FIELD.findall(told))
    ] == []
    assert len({english for english, _ in lines}) == len(lines)


@pytest.mark.parametrize(
    ("english", "told"),
    [
        (
            'forest.toml:21: workers[2].batch: expected an integer of at least 1, got "ten"; try batch = 10',
            'forest.toml:21: workers[2].batch: 期待: 1 以上の整数 / 実際: "ten" / 対処: batch = 10',
        ),
        (
            "expected a worker or a pool, got 'x'; try one of: a, b",
            "期待: ワーカーまたはプール / 実際: 'x' / 対処: 次のいずれか: a, b",
        ),
        ("nobody translated this", "nobody translated this"),
        (
            "expected a task of this forest, got 'a; b'; try elf tasks",
            "期待: この森のタスク / 実際: 'a; b' / 対処: elf tasks",
        ),
        (
            "the task: expected a queue of this forest, got 'nope'; try one of: a, b",
            "投入するタスク: 期待: この森のキュー / 実際: 'nope' / 対処: 次のいずれか: a, b",
        ),
        (
            "expected a worker of this forest, got 'a of b'; try elf nonsense in a script",
            "期待: この森のワーカー / 実際: 'a of b' / 対処: elf nonsense in a script",
        ),
        (
            'my f.toml:9: workers[2].after[0]: expected another worker of this file, got "z"; try one of a, c',
            'my f.toml:9: workers[2].after[0]: 期待: このファイルの別のワーカー / 実際: "z" / 対処: a, c のいずれか',
        ),
        (
            "expected an end within 4 s, got none; it hangs in handle (/x/h.py:6)",
            "期待: 4 秒以内の終了 / 実際: なし / handle (/x/h.py:6) で停止中",
        ),
        (
            "expected a result that JSON can say, got Object of type set is not JSON serializable",
            "期待: JSON で表せる結果 / 実際: Object of type set is not JSON serializable",
        ),
        (
            "expected a result of at most 262144 bytes, got 300002; try to write a file and return its path",
            "期待: 262144 バイト以内の結果 / 実際: 300002 / 対処: ファイルに書き、そのパスを返す",
        ),
        # What others say is theirs: no pattern of ours takes it apart.
        (
            'Parser Error: syntax error at or near "X" (line 1); Did you mean "select" for "x"?',
            'Parser Error: syntax error at or near "X" (line 1); Did you mean "select" for "x"?',
        ),
    ],
)
def test_sentences(english: str, told: str) -> None:
    assert japanese(english) == told


def test_commands_answer_in_the_language_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    elf = Elf(capsys)
    for name in ("ELF_LANG", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert elf.no(2, "tasks", "--limit", "0") == "expected --limit of at least 1, got 0"
    assert elf.no(2, "status", "--lang", "ja", "--odd").startswith(
        "不明なオプション: --odd / 対処: elf status"
    )
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    assert elf.no(2, "nonsense") == '不明なコマンド "nonsense" / 対処: elf --help'
    assert elf.no(2, "tasks", "--limit", "0") == "期待: 1 以上の --limit / 実際: 0"
    monkeypatch.setenv("ELF_LANG", "en")
    assert elf.no(2, "tasks", "a", "b") == "expected no more words, got a b; try elf tasks --help"
