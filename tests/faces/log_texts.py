"""Finds in the sources every text that elves and executors write into the log for people, in all its forms."""

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from tests.faces.console import ROOT
from tests.faces.sentences import field_name, needs_words

# These carry decisions out and say what came of it.
_EXECUTORS = (
    "worker worker_ending custodian herald liaison mover settler adoption foreman agent_actor evidence"
    " runner_notices runner_fate runner_children executor"
).split()
_CALLS = frozenset(
    {"verified", "give_up", "done", "exited", "_verified", "_failed", "_step", "_say"}
    | {"EffectVerified", "EffectFailed", "StepDone", "Ending", "append", "extend"}
)
_NAMES = frozenset({"error", "detail", "why", "text", "how", "tail", "hint", "at_work"})
# Words of the code, for the log of the node or for pages that have their own Japanese.
_ELSEWHERE = frozenset({"rules.py", "parameters.py", "playbooks.py"})


def log_texts() -> Iterator[tuple[str, str]]:
    """Yield every text with its fields in braces, and where it stands."""
    for path in sorted(ROOT.glob("actors/elves/**/*.py")):
        if path.name not in _ELSEWHERE:
            yield from _of(path, _outermost(ast.parse(path.read_text())))
    for name in _EXECUTORS:
        path = ROOT / "actors" / f"{name}.py"
        yield from _of(path, _said(ast.parse(path.read_text())))


def _of(path: Path, nodes: Iterator[ast.expr]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        for text in _forms(node):
            line = text.replace("\n", " ")
            if " " in line.strip() and needs_words(line) and not line.startswith(("SELECT", "expected ")):
                yield line, f"{path.relative_to(ROOT)}:{node.lineno}"


def _outermost(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield texts that are no part of another one; docstrings, SQL and what parameters mean are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("sql", "Parameter", "ValueError"):
            continue
        if isinstance(node, ast.JoinedStr | ast.Constant | ast.BinOp) and _is_text(node):
            yield node
        else:
            yield from _outermost(node)


def _said(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield what is handed to those who write outcomes, what is named like a part of one, what is returned."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in _CALLS:
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                yield from _texts(argument)
        elif (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in _NAMES) or isinstance(
            node, ast.Return
        ):
            yield from _texts(node.value)


def _texts(node: ast.expr | None) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.BoolOp | ast.Dict):
        for value in node.values:
            yield from _texts(value)
    elif isinstance(node, ast.GeneratorExp):
        yield from _texts(node.elt)
    elif node and _is_text(node):
        yield node


def _is_text(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_text(left) or _is_text(right)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_text(body) or _is_text(orelse)
        case _:
            return False


def _forms(node: ast.expr) -> list[str]:
    """Return every form of a text: each side of what depends on something."""
    match node:
        case ast.Constant(value=str() as text):
            return [text]
        case ast.JoinedStr(values=values):
            return ["".join(parts) for parts in product(*map(_forms, values))]
        case ast.FormattedValue(value=value):
            return _forms(value)
        case ast.BinOp(left=left, op=ast.Add(), right=right) if _is_text(node):
            return [one + other for one, other in product(_forms(left), _forms(right))]
        case ast.IfExp(body=body, orelse=orelse) if _is_text(node):
            return [*_forms(body), *_forms(orelse)]
        case _:
            return [f"{{{field_name(node).strip('_').lower()}}}"]


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
