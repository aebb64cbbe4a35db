"""`elf knowledge`: what was learnt, found by words of either language."""

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import HERE, Language, WhereOption, language
from actors.faces.console.output import show_json, show_table
from actors.faces.console.words import say

knowledge = App(name="knowledge", help="What was learnt: search it, show a record, add one.")


@knowledge.command
def search(
    *words: str,
    limit: Annotated[int, Parameter(name=("--limit", "-n"))] = 20,
    json: bool = False,
    lang: Language | None = None,
    where: WhereOption = HERE,
) -> int:
    """Find documents that hold every word; without words all of them.

    Parameters
    ----------
    words
        Words of either language, by their beginnings; Japanese from one letter on.
    limit
        At most so many.
    json
        Print a list of {"id", "score", "title", "piece"}.
    lang
        en or ja.
    """
    from projections.knowledge_index import Index

    hits = Index(_documents(where.folder())).search(" ".join(words), limit)
    if json:
        show_json(hits)
    elif hits:
        tongue = language(lang)
        rows = [(hit.id, hit.title, hit.piece) for hit in hits]
        show_table([say(head, tongue) for head in ("id", "title", "where")], rows)
    else:
        print(say("nothing", language(lang)))
    return Exit.FINE if hits else Exit.NO


@knowledge.command
def show(name: str, /, *, json: bool = False, where: WhereOption = HERE) -> int:
    """Show one document as it stands.

    Parameters
    ----------
    name
        Its id, as search shows it.
    json
        Print {"id", "text"}.
    """
    found = _documents(where.folder())
    if name not in found:
        raise Failure(f"expected the id of a document, got {name!r}; try elf knowledge search", Exit.NO)
    if json:
        show_json({"id": name, "text": found[name]})
    else:
        print(found[name], end="")
    return Exit.FINE


@knowledge.command
def add(
    name: str,
    /,
    *,
    title: str,
    symptom: str,
    cause: str = "",
    measure: str = "",
    proof: str = "",
    tag: Annotated[tuple[str, ...], Parameter(negative_iterable=())] = (),
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Write a solved case down.

    Parameters
    ----------
    name
        Its id: 1 to 64 letters, digits, '_' or '-'.
    title
        What it is called.
    symptom
        What was seen.
    cause
        Why.
    measure
        What helped.
    proof
        How one knows.
    tag
        A word to find it by; may be given again.
    json
        Print {"id", "position"}.
    """
    from actors.client import Client
    from events.proposals import KnowledgeAdded
    from events.subjects import token

    try:
        token(name, "id")
    except ValueError as problem:
        raise Failure(str(problem)) from None
    body = KnowledgeAdded(
        record=name, title=title, symptom=symptom, cause=cause, measure=measure, proof=proof, tags=tag
    )

    async def send() -> int:
        async with await Client.open(where.place(), "operator") as client:
            return await client.say(body)

    position = asyncio.run(send())
    if json:
        show_json({"id": name, "position": position})
    else:
        print(f"{name}: written (position {position})")
    return Exit.FINE


def _documents(data: Path) -> dict[str, str]:
    from actors.librarian import FOLDER, documents

    if not (data / FOLDER).is_dir():
        raise Failure(
            f"expected a data folder with documents, got {data}; try --data FOLDER of a node that has run",
            Exit.NO,
        )
    return documents(data)
