"""`elf import`: a forest.toml from what another supervisor was told, and what of that has no counterpart."""

import os
from pathlib import Path

from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import Language, language
from actors.faces.console.output import show_json
from actors.faces.japanese import japanese

TARGET = Path("forest.toml")


def take_over(
    file: Path,
    /,
    *,
    output: Path = TARGET,
    json: bool = False,
    lang: Language | None = None,
) -> int:
    """Write a forest.toml from a supervisord.conf, and say line by line what could not be carried over.

    Parameters
    ----------
    file
        The configuration of supervisord; files of its [include] are read too.
    output
        Where to write; an existing file is never touched.
    json
        Print {"output", "programs", "workers", "notes": [{"file", "line", "where", "text"}]}.
    lang
        en or ja.
    """
    from actors.config_errors import ConfigErrors
    from actors.config_reader import read_forest
    from actors.supervisord_forest import Imported, write
    from actors.supervisord_reader import Unreadable

    try:
        imported = Imported(file, os.environ)
        write(output, imported)
    except Unreadable as problem:
        raise Failure(str(problem)) from None
    except FileExistsError:
        raise Failure(f"expected no file {output} yet, got one; try --output another.toml") from None
    try:
        read_forest(output)
    except ConfigErrors as problem:
        output.unlink()
        raise Failure(f"{problem}\n{file} was not imported: what it became is not valid") from None
    if json:
        show_json(
            {
                "output": str(output),
                "programs": len(imported.programs),
                "workers": len(imported.workers),
                "notes": [note._asdict() for note in imported.notes],
            }
        )
        return Exit.FINE
    say = japanese if language(lang) == "ja" else str
    for note in imported.notes:
        print(note._replace(text=say(note.text)))
    told = (
        f"wrote {output}: {len(imported.programs)} programs, {len(imported.workers)} workers,"
        f" {len(imported.notes)} notes; try elf node --check --config {output}, then elf node --config {output}"
    )
    print(say(told))
    return Exit.FINE
