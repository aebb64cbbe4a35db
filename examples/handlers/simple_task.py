"""Counts, measures and hashes files."""

import hashlib
from pathlib import Path
from typing import Any


def hash_files(task: dict[str, Any]) -> dict[str, Any]:
    """Return size and SHA-256 of every file that matches `payload.pattern` in `payload.folder`."""
    payload = task["payload"]
    folder = Path(payload["folder"])
    if not folder.is_dir():
        raise FileNotFoundError(f"expected a folder in the working folder, got {payload['folder']!r}")
    files: list[dict[str, Any]] = [
        {"path": path.as_posix(), "bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.glob(payload.get("pattern", "*")))
        if path.is_file()
    ]
    return {
        "folder": payload["folder"],
        "count": len(files),
        "bytes": sum(file["bytes"] for file in files),
        "files": files,
    }


def sha256(path: Path) -> str:
    """Return a file's digest in hexadecimal digits.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as empty:
    ...     sha256(Path(empty.name))[:16]
    'e3b0c44298fc1c14'
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
