"""Records as Markdown in both languages: what the forest writes stands between two marks, all else is people's.

The opening mark carries a digest of what follows. Where a person has changed something between the marks, that text
becomes theirs and a fresh generated part is put behind it: nothing that was written is ever lost.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2b

from projections.glossary import kind_names, term
from projections.knowledge import Note, title_of

_BEGIN = "<!-- elf-forest writes from here, {digest} -->"
_END = "<!-- elf-forest ends here; what stands outside is yours -->"
_PART = re.compile(
    r"<!-- elf-forest writes from here, ([0-9a-f]+) -->\n(.*?)\n" + re.escape(_END) + r"\n?", re.DOTALL
)
_NOTES = "\n## Notes / メモ\n\n"


def page(note: Note, standing: str = "") -> str:
    """Return a record's document; `standing` is the one that is there, people's changes included."""
    part = _part(note)
    if not standing.strip():
        return part + _NOTES
    found = _PART.search(standing)
    if found is None:
        return f"{standing.rstrip()}\n\n{part}"
    if found[1] == _digest(found[2]):
        return standing[: found.start()] + part + standing[found.end() :]
    # A person wrote between the marks: their text stays, without the marks.
    return f"{(standing[: found.start()] + found[2] + chr(10) + standing[found.end() :]).rstrip()}\n\n{part}"


def _part(note: Note) -> str:
    text = "\n".join(_lines(note)).rstrip()
    return f"{_BEGIN.format(digest=_digest(text))}\n{text}\n{_END}\n"


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=6).hexdigest()


def _lines(note: Note) -> Iterable[str]:
    english, japanese = title_of(note)
    kind = " / ".join(kind_names(note.kind))
    yield f"# {english}" if english == japanese else f"# {english} / {japanese}"
    yield ""
    yield f"- id: `{note.id}`"
    yield f"- {kind}; {note.times} × ({_day(note.first)} – {_day(note.last)}), last at position {note.position}"
    words = sorted({*note.tags, *term(note.topic).words.split()}) if note.topic else sorted(note.tags)
    if words:
        yield f"- words / 語: {', '.join(words)}"
    yield from _section("Symptom / 症状", [_safe(note.symptom)])
    yield from _section("Cause / 原因", [_safe(note.cause)])
    yield from _section(
        "Measure / 対処", [_measure(item.name, item.worked, item.failed) for item in note.measures]
    )
    yield from _section("Proof / 証拠", [_safe(item) for item in note.proof])


def _measure(name: str, worked: int, failed: int) -> str:
    if not worked and not failed:
        return _safe(name)
    return f"{_safe(name)}: worked {worked} ×, did not {failed} × / 成功 {worked} 回、失敗 {failed} 回"


def _section(title: str, lines: list[str]) -> Iterable[str]:
    told = [line for line in lines if line]
    if told:
        yield ""
        yield f"## {title}"
        yield ""
        yield from (f"- {line}" for line in told) if len(told) > 1 else told


def _safe(text: str) -> str:
    """Return the text on one line, and without anything that could pass for a mark."""
    return " ".join(text.split()).replace("<!--", "<! --")


def _day(time: int) -> str:
    return datetime.fromtimestamp(time / 1e6, UTC).strftime("%Y-%m-%d")
