"""Splits a project request into tasks for the other workers.

What a handler returns under "submit" is submitted as new tasks, children of the one that asked for them.
"""

from pathlib import Path
from typing import Any


def split(task: dict[str, Any]) -> dict[str, Any]:
    """Plan the check of all files that match `payload.pattern` in `payload.folder`.

    Each Python file becomes a compile-and-test task; all files together one task that hashes them and, with
    `payload.report`, one that collects the results so far.
    """
    payload = task["payload"]
    folder, pattern = payload["folder"], payload.get("pattern", "*.py")
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"expected a folder in the working folder, got {folder!r}")
    files = sorted(path for path in root.glob(pattern) if path.is_file())
    results = {"results": payload["results"]} if "results" in payload else {}
    wanted = [
        ("ai_tasks", "compile_and_test", {"path": path.as_posix(), **results})
        for path in files
        if path.suffix == ".py"
    ]
    wanted.append(("dialog_task_queue", "hash_files", {"folder": folder, "pattern": pattern}))
    if "report" in payload and results:
        wanted.append(("ai_results", "collect", {**results, "report": payload["report"]}))
    return {
        "project": payload.get("project", folder),
        "files": len(files),
        "submit": [
            {"id": child_id(str(task["id"]), number), "queue": queue, "type": kind, "payload": request}
            for number, (queue, kind, request) in enumerate(wanted, 1)
        ],
    }


def child_id(parent: str, number: int) -> str:
    """Name a child after its parent: a second attempt at the same request submits no task twice.

    >>> child_id("plan-events", 3)
    'plan-events-3'
    >>> len(child_id("x" * 64, 12))
    64
    """
    ending = f"-{number}"
    return parent[: 64 - len(ending)] + ending
