"""Puts the programs of a supervisord together as forest.toml, and says what of the rest has no counterpart."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from actors.supervisord_programs import Made, Program, name_of
from actors.supervisord_reader import Note, Unreadable, read_supervisord
from actors.supervisord_values import LeftOut

# Sections of its own interface, and what stands in their place.
_INTERFACES = {
    "inet_http_server": "the dashboard stands in its place, at 127.0.0.1:8787; try [web] port, [web] auth for a token",
    "unix_http_server": "commands find the node by its data folder, for the node's user only; try elf status",
    "supervisorctl": "elf stands in its place; try elf status, elf worker restart NAME, elf logs NAME --follow",
    "rpcinterface": "elf answers with --json, and the server under ctl.*; try elf status --json",
    "ctlplugin": "there are no plugins; try elf status --json in a script",
    "eventlistener": "what happens stands in the log; try [notify.NAME] with a command, or elf log tail --follow",
    "fcgi-program": "no socket is opened for a worker; try [[worker]] with a program that opens its own",
}
_NODE = {
    "logfile": "the node says what it does on its standard error; try a systemd unit or elf node 2>node.log",
    "logfile_maxbytes": "the node says what it does on its standard error; try a systemd unit",
    "logfile_backups": "the node says what it does on its standard error; try a systemd unit",
    "loglevel": "there are two levels; try elf node --debug",
    "pidfile": "the pid stands in elf status --json",
    "nodaemon": "the node stays in the foreground; try a systemd unit",
    "silent": "the node says little once it runs",
    "minfds": "limits are the worker's own; try rlimits = { nofile = … } in [[worker]]",
    "minprocs": "limits are the worker's own; try rlimits = { nproc = … } in [[worker]]",
    "umask": "a node has the umask it is started with; try umask 022 before elf node",
    "user": "the node runs as who starts it; try User= in a systemd unit",
    "childlogdir": "what workers write is in data/logs; try [node] data",
    "nocleanup": "logs are kept by [node] log_keep",
    "strip_ansi": "what workers write is kept as it is",
}
_TAKEN = frozenset({"environment", "directory", "identifier"})
_MANY = 3


class Imported:
    """What `text` and `notes` a configuration becomes, and how many `workers` and `programs` there are."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        """Read it. Raises Unreadable."""
        sections, self.notes = read_supervisord(path, environ)
        self._sections = sections
        self._groups = self._read_groups()
        main = sections.get("supervisord")
        shared = main.values if main else {}
        self.programs = [it for it in sections.values() if it.kind == "program"]
        if not self.programs:
            raise Unreadable(
                f"{path}: expected at least one section [program:name], got none; try another file"
            )
        self.workers: list[Made] = []
        self._left: list[str] = []
        for section in self.programs:
            program = Program(section, self._groups.get(section.own, ""), shared, environ)
            try:
                self.workers += program.workers()
            except LeftOut as problem:
                self._left.append(f"[{section.name}], {section.file}:{section.line}: {problem}")
                self.notes.append(
                    Note(section.file, section.line, f"[{section.name}]", f"left out: {problem}")
                )
            self.notes += program.notes
        self._distinct()
        self._order()
        self._say_the_rest()
        self.notes = sorted(
            dict.fromkeys(self.notes), key=lambda note: (note.file != str(path), note.file, note.line)
        )
        self.secret = any(made.secret for made in self.workers)
        self.text = self._text(path)

    def _read_groups(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for section in self._sections.values():
            if section.kind != "group":
                continue
            programs = section.values.get("programs")
            names = [name.strip() for name in programs.text.split(",") if name.strip()] if programs else []
            for name in names:
                found[name] = section.own
                if f"program:{name}" not in self._sections and f"fcgi-program:{name}" not in self._sections:
                    where = programs or section
                    self.notes.append(
                        Note(section.file, where.line, f"[{section.name}]", f"there is no program {name}")
                    )
            each = " ".join(map(name_of, names))
            text = f"there are no groups, commands name one worker each; try for w in {each}; do …"
            self.notes.append(Note(section.file, section.line, f"[{section.name}]", text))
        return found

    def _distinct(self) -> None:
        """Give every worker a name of its own, also where its processes are numbered."""
        taken: set[str] = set()
        for made in self.workers:
            name, number = made.table["name"], 2
            while taken & set(_units(made.table)):
                made.table["name"] = f"{name[:60]}_{number}"
                number += 1
            taken |= {made.table["name"], *_units(made.table)}

    def _order(self) -> None:
        """Let each worker wait for those of the next smaller priority, except those that nobody starts."""
        steps = sorted({made.priority for made in self.workers if made.waits})
        for made in self.workers:
            before = [step for step in steps if step < made.priority]
            if before and made.waits:
                made.table["after"] = [
                    other.table["name"]
                    for other in self.workers
                    if other.waits and other.priority == before[-1]
                ]

    # --- what a person should know -----------------------------------------------------------------------------

    def _say_the_rest(self) -> None:
        for section in self._sections.values():
            where = f"[{section.name}]"
            if section.kind in _INTERFACES:
                self.notes.append(Note(section.file, section.line, where, _INTERFACES[section.kind]))
            elif section.kind == "supervisord":
                for key, value in section.values.items():
                    if key not in _TAKEN:
                        text = _NODE.get(key, "supervisord has no such key, it is left out")
                        self.notes.append(Note(value.file, value.line, f"{where} {key}", text))
            elif section.kind not in ("program", "group", "include"):
                self.notes.append(
                    Note(section.file, section.line, where, "supervisord has no such section, it is left out")
                )
        file = self.programs[0].file
        always = [made.table["name"] for made in self.workers if not made.restarts]
        if always:
            text = "without autorestart supervisord lets a program rest that ended with 0, here it is started again"
            text = f"{text}: {_few(always)}"
            self.notes.append(Note(file, 0, "", text))
        homeless = [made.table["name"] for made in self.workers if made.homeless]
        if homeless:
            self.notes.append(
                Note(
                    file, 0, "", f"without directory a worker runs in forest.toml's folder: {_few(homeless)}"
                )
            )
        text = 'workers get a clean environment; try env = { NAME = "${NAME}" } for what they need of the node\'s'
        self.notes.append(Note(file, 0, "", text))
        self._say_of_numbers()

    def _say_of_numbers(self) -> None:
        """The file has one number where supervisord has one for each program: the largest is taken."""
        for field, key, shown in (
            ("steady_s", "startsecs", "[limits] steady_s"),
            ("log_size", "stdout_logfile_maxbytes", "[node] log_size"),
            ("log_keep", "stdout_logfile_backups", "[node] log_keep"),
        ):
            largest = self._largest(field)
            for section in self.programs:
                value = section.values.get(key)
                mine = [
                    getattr(made, field)
                    for made in self.workers
                    if made.origin.startswith(f"[{section.name}],")
                ]
                if value and mine and mine[0] is not None and mine[0] != largest:
                    text = f"{shown} is one for all, {largest} is taken"
                    self.notes.append(Note(value.file, value.line, f"[{section.name}] {key}", text))

    def _largest(self, field: str) -> int:
        return max((value for made in self.workers if (value := getattr(made, field))), default=0)

    # --- the file ----------------------------------------------------------------------------------------------

    def _text(self, path: Path) -> str:
        main = self._sections.get("supervisord")
        identifier = main.values.get("identifier") if main else None
        lines = [
            f"# Made by elf import from {path}. Every key: docs/configuration.md",
            "",
            "[node]",
            f"name = {_toml(name_of(identifier.text) if identifier else 'forest')}",
        ]
        for field, key in (("log_size", "log_size"), ("log_keep", "log_keep")):
            if largest := self._largest(field):
                lines.append(f"{key} = {_toml(_bytes(largest) if key == 'log_size' else largest)}")
        if steady := self._largest("steady_s"):
            lines += ["", "[limits]", f"steady_s = {steady}"]
        for left in self._left:
            lines += ["", f"# left out: {_comment(left)}"]
        for made in self.workers:
            lines += ["", f"# {_comment(made.origin)}", "[[worker]]"]
            lines += [f"{key} = {_toml(value)}" for key, value in made.table.items()]
            lines += [f"# {_comment(left)}" for left in made.left]
        return "\n".join([*lines, ""])


def write(path: Path, imported: Imported) -> None:
    """Write the file, for its owner alone if it holds a secret. Raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if imported.secret else 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(imported.text)


def _units(table: Mapping[str, Any]) -> list[str]:
    most = table.get("max", 1)
    return [table["name"]] if most == 1 else [f"{table['name']}-{number}" for number in range(1, most + 1)]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more" if len(names) > _MANY else "")


def _bytes(size: int) -> int | str:
    return f"{size >> 20}MiB" if size % (1 << 20) == 0 else size


def _comment(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)


def _toml(value: object) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items()) + " }"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case _:
            return str(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
