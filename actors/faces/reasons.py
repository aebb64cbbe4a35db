"""What elves, executors and proposals wrote into the log, in Japanese where a person reads it; the log stays English.

A whole text is looked up in ja_log.txt. Its lines are `English<tab>Japanese` with fields in braces: {name:w} takes one
word; on the Japanese side {name!} is a text of its own, which is looked up as well, and {name?} a fault. What nobody
translated stays as it is.
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from actors.faces.console.words import say
from actors.faces.japanese import japanese, pairs

FIELD = re.compile(r"\{(\w+)(:w|!|\?)?\}")
_FILE = Path(__file__).with_name("ja_log.txt")
# What is told of several: reasons behind their counts, workers one after the other.
_BETWEEN = re.compile(r"(; |, (?=\d+ ))")
_LONGEST = 2000
_OURS = (
    "expected ",
    "the handler's process ",
    "the runner ",
    "the agent's program ",
    "exit code ",
    "signal ",
)
_TEXTS = frozenset({"text", "detail", "outcome_detail", "claim", "gain", "risk", "rollback", "why_not"})
# Facts as they were recorded.
_RAW = frozenset({"inputs", "action", "change", "payload", "result"})


class _Line(NamedTuple):
    """One line with fields: what comes before them, each field with what follows it, the longest of these stretches."""

    first: str
    fields: list[tuple[str, bool, str]]
    literal: str
    japanese: str

    def read(self, text: str) -> dict[str, str]:
        """Return what a text holds in the fields, empty if it is another one; no way back, so linear in the text."""
        found: dict[str, str] = {}
        at = len(self.first)
        for number, (name, word, after) in enumerate(self.fields, 1):
            last = number == len(self.fields)
            end = len(text) - len(after) if last else text.find(after, at + 1)
            value = text[at:end]
            if end <= at or (word and " " in value):
                return {}
            found[name] = value
            at = end + len(after)
        return found


def reason(text: str, lang: str, known: str = "") -> str:
    """Return a text of the log in this language; the name that is known already is not said before it again."""
    return _japanese(text).removeprefix(f"{known}: ") if lang == "ja" else text


def fault(text: str, lang: str) -> str:
    """Return what a task failed of in this language; what a handler raised stays in its own words."""
    if lang != "ja":
        return text
    return _japanese(text) if text.startswith(_OURS) else _whole(text) or text


def in_words(lang: str) -> Callable[[str], str]:
    """Return what says texts and states of the log in this language."""
    return lambda text: say(reason(text, lang), lang)


def spoken(answer: Any, lang: str) -> Any:
    """Return an answer to a page with its texts in this language; the answer itself stays as it is."""
    if lang != "ja":
        return answer
    if isinstance(answer, list):
        return [spoken(item, lang) for item in answer]
    if isinstance(answer, dict):
        return {name: _part(name, value, lang) for name, value in answer.items()}
    return answer


def _part(name: str, value: Any, lang: str) -> Any:
    if isinstance(value, str):
        return reason(value, lang) if name in _TEXTS else fault(value, lang) if name == "error" else value
    return value if name in _RAW else spoken(value, lang)


def lines() -> list[tuple[str, str]]:
    """Return every line of ja_log.txt as English and Japanese."""
    return pairs(_FILE)


@lru_cache(maxsize=4096)
def _japanese(text: str) -> str:
    if len(text) > _LONGEST:
        return text
    return _told(text) or (japanese(text) if "expected " in text else _list(text))


def _told(text: str) -> str:
    """Return what stands in the catalogue for a text, or for what is said behind a name; empty for neither."""
    if told := _whole(text) or _begun(text):
        return told
    name, _, rest = text.partition(" ")
    if told := _whole(rest) or _begun(rest):
        return f"{told}({name})" if name.isdecimal() else f"{name.removesuffix(':')}: {told}"
    return _filled(text, _catalogue().named)


def _list(text: str) -> str:
    parts = _BETWEEN.split(text)
    told = [_told(part) for part in parts[::2]]
    return "、".join(map(lambda new, old: new or old, told, parts[::2])) if any(told) else text


def _whole(text: str) -> str:
    return _catalogue().known.get(text, "")


def _begun(text: str) -> str:
    said = _catalogue().said
    return _filled(text, said.get(text.partition(" ")[0], [])) or _filled(text, said.get("", []))


def _filled(text: str, lines: list[_Line]) -> str:
    for line in lines:
        if line.literal in text and text.startswith(line.first) and text.endswith(line.fields[-1][2]):
            fields = line.read(text)
            if fields:
                return _in_place(line.japanese, fields)
    return ""


def _in_place(japanese: str, fields: dict[str, str]) -> str:
    return FIELD.sub(lambda field: _MARKED[field[2]](fields[field[1]]), japanese)


_MARKED: dict[str | None, Callable[[str], str]] = {
    None: str,
    "!": lambda text: _japanese(text.strip()),
    "?": lambda text: fault(text, "ja"),
}


class _Catalogue(NamedTuple):
    """Lines without fields; lines by the word that they begin with; lines that begin with a field.

    The most particular comes first. Below the empty word are those that begin with a field within a word.
    """

    known: dict[str, str]
    said: dict[str, list[_Line]]
    named: list[_Line]


@cache
def _catalogue() -> _Catalogue:
    made = _Catalogue({}, {}, [])
    for english, told in sorted(lines(), key=lambda pair: -len(FIELD.sub("", pair[0]))):
        if "{" not in english:
            made.known[english] = told
            continue
        # Split by fields: what comes first, then a name, its mark and what follows, for each of them.
        first, *rest = FIELD.split(english)
        fields = [(rest[at], rest[at + 1] == ":w", rest[at + 2]) for at in range(0, len(rest), 3)]
        line = _Line(first, fields, max(first, *(after for _, _, after in fields), key=len), told)
        word = first.partition(" ")[0] if " " in first else ""
        (made.said.setdefault(word, []) if first else made.named).append(line)
    return made
