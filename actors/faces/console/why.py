"""`elf why`: the story of a task, a worker or a decision in plain words."""

from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import HERE, Language, WhereOption, language
from actors.faces.console.output import clock, show_json
from actors.faces.console.reading import Reading
from actors.faces.reasons import in_words


def why(
    id: str,
    /,
    *,
    json: bool = False,
    lang: Language | None = None,
    where: WhereOption = HERE,
) -> int:
    """Tell why: what was seen, what was decided and for which reason, and what came of it.

    Parameters
    ----------
    id
        A task, a worker, a pool, or a decision (its id or the beginning of it).
    json
        Print {"kind", "id", "title", "lines": [{"time", "position", "text"}]}.
    lang
        en or ja.
    """
    with Reading(where.place()) as reading:
        return tell(reading, id, lang, json)


def tell(reading: Reading, id: str, lang: Language | None, as_json: bool = False) -> int:
    """Print the story of an id. Raises Failure when nobody has that id."""
    from projections.story import story

    # A script reads the same wherever it runs.
    tongue = lang or "en" if as_json else language(lang)
    told = story(reading.query, id, tongue, in_words(tongue))
    if told is None:
        raise Failure(
            f"expected a task, worker or decision of this forest, got {id!r}; try elf tasks or elf status",
            Exit.NO,
        )
    if as_json:
        lines = [{"time": line.time, "position": line.position, "text": line.text} for line in told.lines]
        show_json({"kind": told.kind, "id": told.id, "title": told.title, "lines": lines})
        return Exit.FINE
    print(told.title)
    width = max((len(str(line.position)) for line in told.lines), default=1)
    for line in told.lines:
        print(f"  {clock(line.time)}  {line.position:>{width}}  {line.text}")
    return Exit.FINE
