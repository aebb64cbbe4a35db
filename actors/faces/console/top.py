"""`elf top`: the dashboard in a terminal."""

import sys
from importlib.util import find_spec

from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import HERE, Language, WhereOption, language


def top(*, lang: Language | None = None, where: WhereOption = HERE) -> int:
    """Show the forest live, with keys for what people do; ? shows them.

    Parameters
    ----------
    lang
        en or ja.
    """
    if not find_spec("textual"):
        raise Failure("expected the extra ui, got a bare install; try pip install 'elf-forest[ui]'")
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise Failure("expected a terminal, got a pipe; try elf status")
    place = where.place()
    place.credentials("operator")
    from actors.faces.terminal.app import Top

    app = Top(place, language(lang))
    app.run()
    return Exit.FINE if app.return_code in (0, None) else Exit.NO
