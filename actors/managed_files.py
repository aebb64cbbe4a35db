"""Replaces a file whole or not at all, and finds what of a broken one can be kept beside the last good one."""

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

_LINE = re.compile(r"^\s*([A-Za-z0-9_.\-\"' ]+?)\s*[=:]\s*(\S.*)$")
_SECTION = re.compile(r"^\s*\[+([^\]]+)\]+\s*$")
_MOST = 20

Render = Callable[[frozenset[str]], bytes]


def digest_of(data: bytes) -> str:
    """Return what a file's bytes are known by."""
    return blake2b(data, digest_size=16).hexdigest()


def replaced(path: Path, data: bytes, accepted: Callable[[Path], bool]) -> bool:
    """Put `data` in the place of a file once a check accepts it; a crash leaves the old or the new one.

    Owner and mode stay those of the old file. False when the check refuses. Raises OSError.
    """
    fresh = path.with_name(f".elf-new-{path.name}")
    fresh.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        old = path.stat()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if path.exists():
                os.fchmod(file.fileno(), old.st_mode & 0o7777)
                with suppress(PermissionError):
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
            file.flush()
            os.fsync(file.fileno())
        if not accepted(fresh):
            return False
        os.rename(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def kept(folder: Path, name: str, data: bytes) -> Path:
    """Keep a copy in a folder of the node's own, readable by its owner only."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    fresh = folder / f".{name}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(fresh, path)
    return path


def changes(path: Path, good: bytes, broken: bytes) -> tuple[list[str], Render]:
    """Return the keys whose values in the broken file differ and can be read, and what writes the good one with some.

    TOML and INI line by line, JSON by its outermost keys; of other forms nothing is kept.
    """
    kind = path.suffix.lower()
    if kind == ".json":
        return _json_changes(good, broken)
    if kind in (".toml", ".ini", ".cfg", ".conf"):
        return _line_changes(good, broken, kind == ".toml")
    return [], lambda _: good


def merged(
    path: Path, good: bytes, broken: bytes, tried: Callable[[bytes], bool]
) -> tuple[bytes | None, list[str]]:
    """Return the good file with as much of the broken one as the check accepts, and the keys that came back.

    None when the check refuses the good file itself.
    """
    if not tried(good):
        return None, []
    keys, render = changes(path, good, broken)
    keys = keys[:_MOST]
    if not keys or tried(render(frozenset(keys))):
        return render(frozenset(keys)), []
    taken: set[str] = set()
    for key in keys:
        if tried(render(frozenset(taken | {key}))):
            taken.add(key)
    return render(frozenset(taken)), [key for key in keys if key not in taken]


def _json_changes(good: bytes, broken: bytes) -> tuple[list[str], Render]:
    try:
        before, now = json.loads(good), json.loads(broken)
    except ValueError:
        return [], lambda _: good
    if not isinstance(before, dict) or not isinstance(now, dict):
        return [], lambda _: good
    keys = [key for key, value in now.items() if key in before and before[key] != value]
    return keys, lambda some: (
        json.dumps(before | {key: now[key] for key in some}, ensure_ascii=False, indent=2) + "\n"
    ).encode()


def _line_changes(good: bytes, broken: bytes, toml: bool) -> tuple[list[str], Render]:
    lines = good.decode("utf-8", "replace").splitlines()
    before, now = _keys(lines), _keys(broken.decode("utf-8", "replace").splitlines())
    keys = [
        key
        for key, (_, line) in now.items()
        if key in before and before[key][1] != line and (not toml or _reads(line))
    ]

    def render(some: frozenset[str]) -> bytes:
        result = list(lines)
        for key in some:
            result[before[key][0]] = now[key][1]
        return ("\n".join(result) + "\n").encode() if some else good

    return keys, render


def _keys(lines: list[str]) -> Mapping[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    section = ""
    for number, line in enumerate(lines):
        head = _SECTION.match(line)
        if head:
            section = head[1].strip() + "."
            continue
        pair = _LINE.match(line)
        if pair and not line.lstrip().startswith(("#", ";")):
            found[section + pair[1].strip()] = (number, line)
    return found


def _reads(line: str) -> bool:
    try:
        tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return False
    return True
