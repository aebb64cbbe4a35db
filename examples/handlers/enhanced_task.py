"""Compiles a Python module and runs its doctests and unit tests in a process of its own.

A handler is a plain function: it gets a task as a dictionary and returns any JSON value. The text of what it
raises is kept with the failed attempt. It needs nothing from the program that calls it.
"""

import contextlib
import doctest
import importlib.util
import json
import os
import py_compile
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any


def compile_and_test(task: dict[str, Any]) -> dict[str, Any]:
    """Check the module `payload.path`; keep the result in the folder `payload.results` if there is one."""
    payload = task["payload"]
    path = inside(payload["path"])
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        py_compile.compile(str(path), cfile=f"{scratch}/compiled.pyc", doraise=True)
    tested = subprocess.run(
        [sys.executable, "-B", __file__, str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=payload.get("timeout_s", 60),
        check=False,
    )
    if tested.returncode:
        said = (tested.stderr or tested.stdout).strip()
        raise RuntimeError(f"the tests of {payload['path']} failed: {said[-2000:]}")
    counts = json.loads(tested.stdout.splitlines()[-1])
    result = {
        "path": payload["path"],
        "lines": path.read_text(encoding="utf-8").count("\n"),
        **counts,
        "seconds": round(time.perf_counter() - started, 3),
    }
    if "results" in payload:
        keep(inside(payload["results"]), str(task["id"]), result)
    return result


def inside(text: str) -> Path:
    """Return a path below the working folder, so that no task reaches beyond it.

    >>> inside("../elsewhere")
    Traceback (most recent call last):
    ValueError: expected a path inside the working folder, got '../elsewhere'
    """
    path = Path(text).resolve()
    if not path.is_relative_to(Path.cwd().resolve()):
        raise ValueError(f"expected a path inside the working folder, got {text!r}")
    return path


def keep(folder: Path, name: str, result: dict[str, Any]) -> None:
    """Write a result as JSON; a reader sees the whole file or none.

    >>> with tempfile.TemporaryDirectory() as scratch:
    ...     keep(Path(scratch), "a", {"path": "x.py"})
    ...     [file.name for file in Path(scratch).iterdir()]
    ['a.json']
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.{os.getpid()}"
    draft.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / f"{name}.json")


def run_tests(path: Path) -> dict[str, int]:
    """Import the module and run what it holds; what it prints goes to standard error."""
    name = ".".join(path.relative_to(Path.cwd()).with_suffix("").parts)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"expected a Python module, got {path.name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with contextlib.redirect_stdout(sys.stderr):
        spec.loader.exec_module(module)
        documented = doctest.testmod(module)
        suite = unittest.defaultTestLoader.loadTestsFromModule(module)
        tests = (
            unittest.TextTestRunner(stream=sys.stderr, verbosity=0).run(suite)
            if suite.countTestCases()
            else None
        )
    failed = documented.failed + (len(tests.failures) + len(tests.errors) if tests else 0)
    return {"doctests": documented.attempted, "unittests": tests.testsRun if tests else 0, "failed": failed}


if __name__ == "__main__":
    sys.path[0] = os.getcwd()
    found = run_tests(Path(sys.argv[1]))
    print(json.dumps(found))
    sys.exit(1 if found["failed"] else 0)
