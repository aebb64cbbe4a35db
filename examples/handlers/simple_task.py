"""Counts, measures and hashes files."""

import hashlib
from pathlib import Path
from typing import Any


def hash_files(task: dict[str, Any]) -> dict[str, Any]:
    """Return number, size and one SHA-256 of all files that match `payload.pattern` in `payload.folder`.

    The hash is that of the lines `<SHA-256 of the file>  <its path>` in the order of paths, as `sha256sum` has them.
    """
    payload = task["payload"]
    folder = Path(payload["folder"])
    if not folder.is_dir():
        raise FileNotFoundError(f"expected a folder in the working folder, got {payload['folder']!r}")
    files = sorted(path for path in folder.glob(payload.get("pattern", "*")) if path.is_file())
    lines = "".join(f"{sha256(path)}  {path.as_posix()}\n" for path in files)
    return {
        "folder": payload["folder"],
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "sha256": hashlib.sha256(lines.encode()).hexdigest(),
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
