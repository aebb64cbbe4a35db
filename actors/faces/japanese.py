"""What goes wrong, in Japanese: the sentences stay English where they are made and are translated where a person reads.

A sentence is `place: key: expected A, got B; try C`. Its parts are looked up one by one in ja.txt, whose lines are
`English part<tab>Japanese part` with fields in braces; a part that is not there stays as it is. So what another process
said, or an older node, is translated too, and no log holds two languages.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("ja.txt")
# What stands before "expected" is a place whatever it looks like: "my forest.toml:3: name: ", "the task: ".
_PLACE = re.compile(r"(?P<place>[^;]*?: (?=expected )|(?:\S+: )*)(?P<rest>.*)", re.DOTALL)
_EXPECTED = re.compile(r"expected (?P<expected>.+?)(?:, got:? (?P<got>.+))?", re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"", re.DOTALL)
# A pattern with less of its own ("{name} in {path}") fits anybody's sentence: it is for values of single words.
_LOOSE = 9
_FIELD = re.compile(r"\\\{(\w+)\\\}")


def parts(sentence: str) -> list[tuple[str, str]]:
    """Return the parts of one line by what they are: place, expected, got, try, or said."""
    found = _PLACE.fullmatch(sentence)
    place, rest = (found["place"], found["rest"]) if found else ("", sentence)
    made = [("place", place)] if place else []
    for clause in rest.split("; "):
        if clause.startswith("try "):
            made.append(("try", clause.removeprefix("try ")))
        elif wanted := _EXPECTED.fullmatch(clause):
            made.append(("expected", wanted["expected"]))
            if wanted["got"]:
                made.append(("got", wanted["got"]))
        elif clause:
            made.append(("said", clause))
    return made


def japanese(text: str) -> str:
    """Return what went wrong in Japanese, line by line."""
    return "\n".join(_line(line) for line in text.split("\n"))


def _line(line: str) -> str:
    labels = {"expected": "期待: ", "got": "実際: ", "try": "対処: ", "said": ""}
    place, told = "", ""
    known, _ = _catalogue()
    for kind, part in parts(line):
        if kind == "place":
            place = known.get(part[:-2], part[:-2]) + ": "
            continue
        words = _part(part, kind in ("expected", "got"))
        # A clause that nobody knows may be the rest of a value that holds a semicolon.
        between = "; " if kind == "said" and words == part else " / "
        told += (between if told else "") + labels[kind] + words
    return place + told


def _part(part: str, value: bool) -> str:
    known, patterns = _catalogue()
    if part in known:
        return known[part]
    if _QUOTED.fullmatch(part):
        return part
    for pattern, words, loose in patterns:
        if (value or not loose) and (found := pattern.fullmatch(part)):
            return words(found.groupdict())
    return part


@cache
def _catalogue() -> tuple[
    Mapping[str, str], list[tuple[re.Pattern[str], Callable[[Mapping[str, str]], str], bool]]
]:
    """Return parts without fields, and patterns of those with fields, the most particular first."""
    known: dict[str, str] = {}
    patterns: list[tuple[str, str]] = []
    for english, translated in catalogue():
        if "{" in english:
            patterns.append((english, translated))
        else:
            known[english] = translated
    patterns.sort(key=lambda pair: -_own(pair[0]))
    return known, [
        (_pattern(english, _is_loose(english)), _filler(translated), _is_loose(english))
        for english, translated in patterns
    ]


def _is_loose(english: str) -> bool:
    return english.startswith("{") and english.count("{") > 1 and _own(english) < _LOOSE


def _own(english: str) -> int:
    """Return how many letters of a pattern are its own."""
    return len(re.sub(r"\{\w+\}", "", english))


def catalogue() -> list[tuple[str, str]]:
    """Return every line of ja.txt as English and Japanese."""
    return pairs(_FILE)


def pairs(path: Path) -> list[tuple[str, str]]:
    """Return the lines of a catalogue as English and Japanese."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(pair[0], pair[1]) for line in lines if "\t" in line and len(pair := line.split("\t")) == 2]


def _pattern(english: str, words: bool = False) -> re.Pattern[str]:
    """Make a pattern of a part with fields; with `words` each of them is a single word."""
    field = r"(?P<\1>\\S+?)" if words else r"(?P<\1>.+?)"
    return re.compile(_FIELD.sub(field, re.escape(english)), re.DOTALL)


def _filler(translated: str) -> Callable[[Mapping[str, str]], str]:
    def fill(fields: Mapping[str, str]) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: fields.get(found[1], found[0]), translated)

    return fill
