"""The command of the example's agents: reads one task, does it by its type, prints the result.

    elf agent run CC01 --exec '.venv/bin/python -m examples.handlers.agent'

Any program that reads JSON and prints JSON can stand in its place. It runs in the folder whose files the tasks name.
"""

import ast
import json
import sys
from collections.abc import Callable
from typing import Any

from examples.handlers.async_result import collect
from examples.handlers.enhanced_task import compile_and_test, inside
from examples.handlers.simple_task import hash_files

Do = Callable[[dict[str, Any]], dict[str, Any]]


def outline(task: dict[str, Any]) -> dict[str, Any]:
    """Return what is public in the module `payload.path`: its functions and classes, each with its first line."""
    path = task["payload"]["path"]
    module = ast.parse(inside(path).read_text(encoding="utf-8"), path)
    return {"path": path, "about": first_line(module), "public": list(public(module))}


def public(module: ast.Module) -> list[dict[str, str]]:
    """Return the public definitions of a module.

    >>> public(ast.parse("def f(a, b=1): 'Adds.'"))
    [{'name': 'f(a, b=1)', 'about': 'Adds.'}]
    """
    found = []
    for node in module.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found.append({"name": node.name, "about": first_line(node)})
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            found.append({"name": f"{node.name}({ast.unparse(node.args)})", "about": first_line(node)})
    return found


def first_line(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> str:
    """Return the first line of what documents it."""
    return (ast.get_docstring(node) or "").partition("\n")[0]


BY_TYPE: dict[str, Do] = {
    "infrastructure": hash_files,
    "environment": hash_files,
    "backup": hash_files,
    "quality": compile_and_test,
    "test_cases": compile_and_test,
    "canary": compile_and_test,
    "report": collect,
}


def main() -> int:
    """Do the task on the standard input; what is not named above is work on a module's design."""
    task = json.load(sys.stdin)
    print(json.dumps(BY_TYPE.get(task["type"], outline)(task), ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
