"""Finds in the sources every sentence of the form `expected A, got B; try C`, with its fields named."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.faces.console import ROOT

# What these say goes to the log or to another program of ours, not to a person.
INNER = frozenset(
    "keeper.py keeper_client.py handler_host.py group_entry.py single_entry.py agent_words.py agent_orders.py"
    " agent_beats.py codec.py authority.py upcasters.py chain.py jetstream.py executor.py channels.py"
    " trimming.py bus.py archivist.py rebuilding.py supervisor.py managed_files.py config_check.py watchman.py"
    " japanese.py reasons.py mover.py recorder.py publisher.py custodian.py settler.py time_advice.py".split()
)
_CONFIG = frozenset({"add", "Said", "Form", "_named"})
_WORDS = re.compile(r"[A-Za-z]{2}")
_CODE = re.compile(
    r"(?:elf |\.venv|--|\[\[?|[\w.]+ ?= ?|chmod |export |https?:|pip |examples/|docs/|`)\S*.*|[A-Z0-9_]+"
)


def sentences() -> Iterator[tuple[str, str]]:
    """Yield each line of every sentence, and where it stands."""
    for path in [
        *ROOT.glob("actors/**/*.py"),
        *ROOT.glob("events/*.py"),
        *ROOT.glob("projections/*.py"),
        ROOT / "cli.py",
    ]:
        if path.name in INNER or path.name.startswith("runner"):
            continue
        for line, text in _of(path):
            yield text, f"{path.relative_to(ROOT)}:{line}"


def needs_words(part: str) -> bool:
    """Tell whether a part is language, and not only fields, commands and code."""
    return bool(_WORDS.search(re.sub(r"\{\w+\}", "", part))) and not _CODE.fullmatch(part)


def _of(path: Path) -> Iterator[tuple[int, str]]:
    tree = ast.parse(path.read_text())
    inner: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner |= {part for part in ast.walk(node) if part is not node}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inner.add(node.value)
    config = path.name.startswith("config")
    for node in ast.walk(tree):
        if config and isinstance(node, ast.Call) and _called(node) in _CONFIG:
            yield from _of_config(node)
        if node in inner or not isinstance(node, ast.JoinedStr | ast.Constant):
            continue
        for text in template(node).split("\n"):
            if re.match(r"(?:\S+: )*expected ", text) or "; try " in text:
                yield node.lineno, text


def _of_config(call: ast.Call) -> Iterator[tuple[int, str]]:
    """What a file should hold is put together from its parts elsewhere."""
    for at, argument in enumerate(call.args):
        for node in [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]:
            if not isinstance(node, ast.JoinedStr | ast.Constant):
                continue
            text = template(node)
            if " " in text and "=" not in text:
                yield node.lineno, f"; try {text}" if at == 3 else f"expected {text}"


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def template(node: ast.JoinedStr | ast.Constant) -> str:
    """Return a text with its fields named as they are in the source."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    text, seen = "", Counter[str]()
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            name = field_name(part.value).strip("_").lower()
            seen[name] += 1
            text += f"{{{name}{seen[name] if seen[name] > 1 else ''}}}"
        elif isinstance(part, ast.Constant):
            text += str(part.value)
    return text


def field_name(value: ast.expr) -> str:
    """Return what a field is called by what it holds."""
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
        case ast.Subscript(value=inner) | ast.BinOp(left=inner) | ast.Starred(value=inner):
            return field_name(inner)
        case ast.Call(args=[first, *_]) if not isinstance(first, ast.Constant):
            return field_name(first)
        case ast.Call(func=func):
            return field_name(func)
        case ast.GeneratorExp(elt=inner) | ast.ListComp(elt=inner):
            return field_name(inner)
        case _:
            return "value"
