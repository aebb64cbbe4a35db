"""The rules of the house as functions over a root folder; each returns its findings, one line for each."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

FLOORS = ("events", "projections", "actors", "cli", "__main__")
IMPURE_PROJECTIONS = {"published", "warehouse", "warehouse_file", "query", "anchor", "segments", "history"}
IMPURE = set(
    "asyncio concurrent duckdb importlib multiprocessing nats os psutil pykka random secrets select selectors"
    " shutil signal socket subprocess tempfile threading time uuid".split()
)
CLOCKS = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")
STANDALONE = ("actors/keeper.py", "actors/handler_host.py", "actors/group_entry.py", "actors/single_entry.py")
VAGUE = {"base", "common", "helpers", "misc", "utils"}
PROJECT = set(
    ".ci .gitignore CHANGELOG.md CONTRIBUTING.md LICENSE Makefile README.ja.md README.md __main__.py actors bench"
    " cli.py docs events examples nats projections pyproject.toml requirements tests".split()
)
MADE = set(
    ".git .hypothesis .idea .mypy_cache .pytest_cache .ruff_cache .venv .vscode __pycache__ build data dist"
    " elf_forest.egg-info".split()
)


def modules(root: Path, *tops: str) -> Iterator[tuple[str, ast.Module]]:
    """Every Python file below these top-level names, as its path relative to the root and its tree."""
    for top in tops:
        single = root / f"{top}.py"
        for path in [single] if single.is_file() else sorted((root / top).rglob("*.py")):
            yield path.relative_to(root).as_posix(), ast.parse(path.read_bytes())


def imported(tree: ast.Module) -> set[str]:
    """All dotted names a module imports anywhere; `from a import b` gives both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names.add(module)
            names.update(f"{module}.{alias.name}".replace("..", ".") for alias in node.names)
    return names


def top(name: str) -> str:
    """The floor or distribution a path or a dotted name belongs to."""
    return name.split("/")[0].split(".")[0]


def floors(root: Path) -> list[str]:
    """Imports go downward, and by the one name a module has."""
    return [
        f"{path} imports {name}"
        for path, tree in modules(root, *FLOORS)
        for name in sorted(imported(tree))
        if name.startswith((".", "elf_forest"))
        or (top(name) in FLOORS and FLOORS.index(top(name)) > FLOORS.index(top(path)))
    ]


def elves(root: Path) -> list[str]:
    """No elf knows another one."""
    return [
        f"{path} imports {name}"
        for path, tree in modules(root, "actors")
        if path.startswith("actors/elves/")
        for name in sorted(imported(tree))
        if name.startswith("actors.elves.") and name.split(".")[2].endswith("_elf")
    ]


def is_pure(module: str) -> bool:
    """Whether a module, as a path or a dotted name, lies in the pure zone."""
    parts = module.removesuffix(".py").replace("/", ".").split(".")
    if parts[0] == "projections":
        return not IMPURE_PROJECTIONS.intersection(parts)
    return parts[0] == "events" or parts[:2] == ["actors", "elves"]


def purity(root: Path) -> list[str]:
    """Pure modules touch neither clock, chance, processes nor network, not even through a module of ours."""
    found = []
    for path, tree in modules(root, "events", "projections", "actors"):
        if not is_pure(path):
            continue
        for name in sorted(imported(tree)):
            if top(name) in IMPURE or (top(name) in FLOORS and name != "actors" and not is_pure(name)):
                found.append(f"{path} imports {name}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(CLOCKS):
                found.append(f"{path}:{node.lineno} reads the clock")
    return found


def standalone(root: Path) -> list[str]:
    """These run by themselves, in a bare or a foreign interpreter: the standard library is all they have."""
    return [
        f"{path} imports {name}"
        for path, tree in modules(root, "actors")
        if path in STANDALONE
        for name in sorted(imported(tree))
        if top(name) not in sys.stdlib_module_names
    ]


def nats_is_data(root: Path) -> list[str]:
    """A Python file or a folder in nats/ would shadow or extend the client of the same name."""
    return [
        f"nats/{path.name}" for path in (root / "nats").iterdir() if path.is_dir() or path.suffix == ".py"
    ]


def top_level(root: Path) -> list[str]:
    """Each root file with the suffix .py is shipped, and an __init__.py would make the root a package."""
    return sorted({path.name for path in root.iterdir()} - PROJECT - MADE)


def test_folders(root: Path) -> list[str]:
    """Without an __init__.py two test files of one name would be one module."""
    folders = {path.parent for path in (root / "tests").rglob("*.py")}
    return sorted(
        str(folder.relative_to(root)) for folder in folders if not (folder / "__init__.py").is_file()
    )


def sizes(root: Path) -> list[str]:
    """Files of at most 400 lines, functions of at most 60, and no name that says nothing."""
    found = []
    for path, tree in modules(root, *FLOORS, "tests"):
        lines = len((root / path).read_text().splitlines())
        if lines > 400:
            found.append(f"{path} has {lines} lines")
        if VAGUE.intersection(Path(path).with_suffix("").parts):
            found.append(f"{path} does not name its trade")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not path.startswith("tests/"):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 60:
                    found.append(f"{path}:{node.lineno} {node.name} has {length} lines")
    return found


def packages(root: Path) -> list[str]:
    """What has Python files is shipped, and what is shipped exists."""
    listed = set(tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {str(Path(path).parent) for path, _ in modules(root, *FLOORS[:3])} | {".", "nats", "examples"}
    real = {".".join(("elf_forest", *Path(folder).parts)) for folder in folders}
    return sorted(f"{name} is {'listed only' if name in listed else 'not listed'}" for name in listed ^ real)


def locks(root: Path) -> list[str]:
    """Lock files say what and never from where, and each pin has a hash."""
    found = []
    for path in sorted((root / "requirements").glob("*.txt")):
        for pin in path.read_text().replace("\\\n", "").splitlines():
            code = pin.split("#")[0].strip()
            if "://" in pin or code.startswith("-") or (code and "--hash=sha256:" not in code):
                found.append(f"{path.name}: {pin[:60]}")
    return found
