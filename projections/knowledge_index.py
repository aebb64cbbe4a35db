"""Search in documents of both languages: words by their beginnings, Japanese by pairs of letters.

So no dictionary is needed and a word of two letters is found. Each term must occur; what occurs in few documents, or
in a title, weighs more.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from math import log

from msgspec import Struct

# Letters of Latin and other alphabets and digits make words; Chinese and Japanese letters run on.
_RUNNING = r"\u3005\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_RUN = re.compile(rf"[{_RUNNING}]+|[^\W_{_RUNNING}]+")
_JAPANESE = re.compile(rf"[{_RUNNING}]")
_TITLE_WEIGHT = 4
_AROUND = 40


class Hit(Struct, frozen=True):
    """A document that was found: how well it fits, its title and a piece of its text."""

    id: str
    score: float
    title: str
    piece: str


class Index:
    """An inverted index of texts."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)
        self._terms: dict[str, dict[str, int]] = {}
        for name, text in texts.items():
            title, _, rest = _plain(text).partition("\n")
            for part, weight in ((title, _TITLE_WEIGHT), (rest, 1)):
                for term in _terms(part):
                    counts = self._terms.setdefault(term, {})
                    counts[name] = counts.get(name, 0) + weight

    def search(self, query: str, limit: int = 20) -> list[Hit]:
        """Return the documents that hold every term, the best first; without a term all of them by name."""
        wanted = [self._found(run) for run in _runs(query)]
        if not wanted:
            return [self._hit(name, 0.0, "") for name in sorted(self._texts)][:limit]
        names = set.intersection(*(set(found) for found in wanted))
        scores = {name: sum(found[name] for found in wanted) for name in names}
        ordered = sorted(names, key=lambda name: (-scores[name], name))
        return [self._hit(name, scores[name], query) for name in ordered[:limit]]

    def _found(self, run: str) -> dict[str, float]:
        """Return every document that holds this word or run of letters, with its weight."""
        if _JAPANESE.match(run):
            grams = _pairs(run) if len(run) > 1 else [run]
            each = [self._weights([gram]) for gram in grams]
            names = set.intersection(*(set(found) for found in each))
            # Pairs may stand apart: the whole run must be there.
            names = {name for name in names if run in _plain(self._texts[name])}
            return {name: sum(found[name] for found in each) for name in names}
        return self._weights([term for term in self._terms if term.startswith(run)])

    def _weights(self, terms: Iterable[str]) -> dict[str, float]:
        weights: dict[str, float] = {}
        for term in terms:
            counts = self._terms.get(term, {})
            rare = log(1 + len(self._texts) / len(counts)) if counts else 0.0
            for name, count in counts.items():
                weights[name] = max(weights.get(name, 0.0), rare * (1 + log(count)))
        return weights

    def _hit(self, name: str, score: float, query: str) -> Hit:
        lines = [line.strip() for line in self._texts[name].splitlines() if not line.startswith("<!--")]
        title = next((line.removeprefix("# ") for line in lines if line.startswith("# ")), name)
        return Hit(name, round(score, 3), title, _piece(lines, _runs(query)))


def _piece(lines: list[str], runs: list[str]) -> str:
    """Return the text around the first place outside the title that holds one of the runs."""
    for line in lines:
        plain = _plain(line)
        at = next((plain.find(run) for run in runs if run in plain), -1)
        if at >= 0 and not line.startswith("#"):
            start = max(0, at - _AROUND)
            return ("…" if start else "") + line[start : at + 2 * _AROUND]
    return ""


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _runs(text: str) -> list[str]:
    return _RUN.findall(_plain(text))


def _pairs(run: str) -> list[str]:
    return [run[place : place + 2] for place in range(len(run) - 1)]


def _terms(text: str) -> Iterable[str]:
    for run in _RUN.findall(text):
        if _JAPANESE.match(run):
            yield from run
            yield from _pairs(run)
        else:
            yield run
