"""A program of supervisord as workers of a forest: what has a counterpart is carried over, all else becomes a note."""

import os
import pwd
import re
import shlex
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from actors.supervisord_reader import Note, Section, Unknown, Value, expand, fields

_PAIR = re.compile(r"""\s*(?P<name>[\w./()+:-]+)\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^,"']*?)\s*(?:,|$)""")
_SECRET = re.compile(r"pass|secret|token|credential|api_?key|private", re.IGNORECASE)
_PLUMBING = re.compile(r"\|\|?|&&?|;|\d*>>?(&\d)?|<|\d>&\d|\$\{?\w+\}?|`.*")
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
_YES, _NO = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})
_UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
_PER_PROCESS = frozenset({"process_num"})

# What says something for which there is no counterpart, and what to do instead.
_WITHOUT = {
    "umask": 'a worker has the node\'s umask; try command = ["sh", "-c", "umask 022; exec program"]',
    "exitcodes": "whatever its exit code, a worker that ended is started again; try [[job]] for what runs once",
    "stderr_logfile": "standard error stands with standard output in data/logs/{worker}.log; try elf logs {worker}",
    "stderr_logfile_maxbytes": "[node] log_size holds for all that workers write",
    "stderr_logfile_backups": "[node] log_keep holds for all that workers write",
    "stdout_syslog": "output goes to data/logs/{worker}.log only; try elf logs {worker} --follow in a pipe to logger",
    "stderr_syslog": "output goes to data/logs/{worker}.log only; try elf logs {worker} --follow in a pipe to logger",
    "stdout_capture_maxbytes": "there is no capture mode; try a task worker, whose results stand in the log",
    "stderr_capture_maxbytes": "there is no capture mode; try a task worker, whose results stand in the log",
    "stdout_events_enabled": "output raises no events; try elf logs {worker} --follow",
    "stderr_events_enabled": "output raises no events; try elf logs {worker} --follow",
    "serverurl": "no address of a server is handed to workers; elf finds its node by --data or ELF_DATA",
}
_CARRIED = frozenset(
    "command process_name numprocs numprocs_start directory priority autostart autorestart startsecs startretries"
    " stopsignal stopwaitsecs stopasgroup killasgroup user redirect_stderr environment stdout_logfile"
    " stdout_logfile_maxbytes stdout_logfile_backups".split()
)


class Made(Struct, kw_only=True):
    """One [[worker]]: `table` as it will stand in the file, `priority` for the order, `left` as comments."""

    table: dict[str, Any]
    origin: str
    priority: int = 999
    waits: bool = True
    secret: bool = False
    restarts: bool = True
    homeless: bool = False
    left: list[str] = []
    steady_s: int | None = None
    log_size: int | None = None
    log_keep: int | None = None


class LeftOut(Exception):
    """A program cannot become a worker; the text says why."""


class Program:
    """Reads one [program:x]. `notes` are what a person should know of it."""

    def __init__(
        self, section: Section, group: str, shared: Mapping[str, Value], environ: Mapping[str, str]
    ) -> None:
        self.notes: list[Note] = []
        self._section = section
        self._group = group or section.own
        self._shared = shared
        self._environ = environ

    def workers(self) -> list[Made]:
        """Return one pool, or one worker for each process if they differ. Raises LeftOut."""
        count = self._number("numprocs", 1)
        if count < 1:
            raise LeftOut(f"expected numprocs of at least 1, got {count}; try numprocs=1")
        if "command" not in self._section.values:
            raise LeftOut("expected a command, got none; try command=…")
        differs = any(
            _PER_PROCESS & fields(value.text)
            for key, value in self._section.values.items()
            if key in ("command", "environment", "directory", "user")
        )
        for key, value in self._section.values.items():
            said = value.text.strip().lower() not in {*_NO, "auto", "none"}
            if key.startswith("stderr_logfile") and self._flag("redirect_stderr", False):
                continue
            if key in _WITHOUT and said:
                self._note(key, _WITHOUT[key].format(worker=name_of(self._section.own)))
            elif key not in _CARRIED and key not in _WITHOUT:
                self._note(key, "supervisord has no such key, it is left out")
        first = self._number("numprocs_start", 0)
        if count == 1 or not differs:
            if count > 1:
                self._note("numprocs", f"processes are named {name_of(self._section.own)}-1 to -{count}")
            return [self._worker(first, count, name_of(self._section.own))]
        made = [
            self._worker(number, 1, self._process_name(number, count))
            for number in range(first, first + count)
        ]
        self.notes = list(dict.fromkeys(self.notes))
        self._note(
            "numprocs",
            f"its processes differ, so each is a worker of its own: {made[0].table['name']} and on",
        )
        return made

    def _process_name(self, number: int, count: int) -> str:
        value = self._section.values.get("process_name")
        text = value.text if value else "%(program_name)s_%(process_num)02d"
        try:
            return name_of(expand(text, self._known(number, count)))
        except (Unknown, ValueError):
            return name_of(f"{self._section.own}_{number}")

    def _known(self, number: int, count: int) -> dict[str, object]:
        here = self._section.values["command"].here
        return {
            "here": here,
            "program_name": self._section.own,
            "group_name": self._group,
            "host_node_name": os.uname().nodename,
            "process_num": number,
            "numprocs": count,
            **{f"ENV_{name}": text for name, text in self._environ.items()},
        }

    def _worker(self, number: int, count: int, name: str) -> Made:
        known = self._known(number, count)
        made = Made(
            table={"name": name}, origin=f"[{self._section.name}], {self._section.file}:{self._section.line}"
        )
        env = self._environment(known, made)
        known |= {f"ENV_{key}": text for key, text in env.items()}
        made.table["command"] = self._command(known)
        self._folder(known, made)
        if env:
            made.table["env"] = env
        if count > 1:
            made.table |= {"min": count, "max": count}
        if not self._flag("autostart", True):
            made.table |= {"min": 0, "max": count}
            made.waits = False
            self._note("autostart", f"nothing runs until you say so; try elf worker scale {name} {count}")
        self._life(made)
        self._output(made)
        self._user(known, made)
        return made

    # --- what runs -------------------------------------------------------------------------------------------

    def _command(self, known: Mapping[str, object]) -> list[str]:
        value = self._section.values["command"]
        text = self._expanded("command", known)
        try:
            words = shlex.split(text)
        except ValueError as problem:
            raise LeftOut(
                f"expected a command whose quotes end, got {str(problem).lower()};"
                " supervisord cuts a command at ' ;', try a script of its own"
            ) from None
        if not words:
            raise LeftOut("expected a command, got an empty one; try command=…")
        plumbing = [word for word in words[1:] if _PLUMBING.fullmatch(word)]
        if Path(words[0]).name in _SHELLS:
            self._note(
                "command",
                "a shell stands between: it is what is watched and measured; try exec before the program",
            )
        elif plumbing:
            line = " ".join(words)
            self._note(
                "command",
                f"no shell reads it, {plumbing[0]} is an argument like any other, as under supervisord;"
                f' try command = ["sh", "-c", "{line}"]',
            )
        if "/" in words[0] and not words[0].startswith("/"):
            words[0] = str(value.here / words[0])
            self._note("command", f"supervisord looks for it where it was started, here it is {words[0]}")
        if not (os.access(words[0], os.X_OK) if "/" in words[0] else shutil.which(words[0])):
            self._note(
                "command",
                f"no program {words[0]} on this machine; try another path before the node is started",
            )
        return words

    def _environment(self, known: Mapping[str, object], made: Made) -> dict[str, str]:
        found: dict[str, str] = {}
        own = self._section.values.get("environment")
        for value in (self._shared.get("environment"), own):
            if value is None:
                continue
            for key, text in self._pairs(value):
                if key.startswith("ELF_"):
                    self._note_at(
                        value, "environment", f"{key}: names that begin with ELF_ are the node's; try another"
                    )
                    continue
                if "${" in text:
                    made.left.append(f"env.{key} = {text!r}")
                    self._note_at(
                        value,
                        "environment",
                        f"{key}: ${{…}} would be a variable of the node; try another way",
                    )
                    continue
                try:
                    found[key] = self._with_references(text, known)
                except Unknown as problem:
                    missing = str(problem).removeprefix("ENV_")
                    made.left.append(f'env.{key} = "${{{missing}}}"')
                    self._note_at(
                        value,
                        "environment",
                        f"{key}: {missing} is not set here; try setting it and importing again",
                    )
                    continue
                if _SECRET.search(key) and "${" not in found[key]:
                    made.secret = True
                    self._note_at(
                        value,
                        "environment",
                        f'{key} looks like a secret and stands in the file; try env.{key} = "${{{key}}}"'
                        " and the node's own environment",
                    )
        return found

    def _with_references(self, text: str, known: Mapping[str, object]) -> str:
        """Return a value that takes what it needs of the environment when the node reads it, not now."""
        asked = {name for name in fields(text) if name.startswith("ENV_")}
        for name in sorted(asked):
            if name not in known:
                raise Unknown(name)
        return expand(text, {**known, **{name: f"${{{name.removeprefix('ENV_')}}}" for name in asked}})

    def _pairs(self, value: Value) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        text, at = " ".join(value.text.split()), 0
        while at < len(text):
            pair = _PAIR.match(text, at)
            if pair is None:
                self._note_at(
                    value, "environment", f'expected KEY="value",KEY="value", got {text[at : at + 40]!r}'
                )
                break
            found.append((pair["name"], pair["value"].strip("'\"")))
            at = pair.end()
        return found

    def _folder(self, known: Mapping[str, object], made: Made) -> None:
        key = "directory"
        value = self._section.values.get(key) or self._shared.get(key)
        if value is None:
            made.homeless = True
            return
        folder = self._expanded(key, known, value)
        if os.path.isdir(folder):
            made.table["cwd"] = os.path.abspath(folder)
        else:
            made.left.append(f"cwd = {folder!r}")
            self._note_at(value, key, f"no folder {folder} on this machine; try making it and taking cwd in")

    # --- how it lives ----------------------------------------------------------------------------------------

    def _life(self, made: Made) -> None:
        made.priority = self._number("priority", 999)
        restarts = self._section.values.get("autorestart")
        if restarts is None:
            made.restarts = False
        elif restarts.text.strip().lower() not in _YES:
            self._note(
                "autorestart",
                "a worker that ended is started again, whatever its exit code; try [[job]] for what runs once,"
                f" or elf worker stop {made.table['name']}",
            )
        if "startretries" in self._section.values:
            made.table["restart"] = {"burst": max(1, self._number("startretries", 3) + 1)}
        if "startsecs" in self._section.values:
            made.steady_s = self._number("startsecs", 1)
        if "stopsignal" in self._section.values:
            self._signal(made)
        if "stopwaitsecs" in self._section.values:
            made.table["stop_wait_s"] = max(0, self._number("stopwaitsecs", 10))
        for key in ("stopasgroup", "killasgroup"):
            if key in self._section.values and not self._flag(key, False):
                self._note(
                    key, "the stop signal and KILL always reach the whole process group and every child"
                )

    def _signal(self, made: Made) -> None:
        text = self._section.values["stopsignal"].text.strip().upper().removeprefix("SIG")
        try:
            made.table["stop_signal"] = signal.Signals(int(text)).name[3:] if text.isdecimal() else text
            signal.Signals[f"SIG{made.table['stop_signal']}"]
        except (ValueError, KeyError):
            del made.table["stop_signal"]
            self._note("stopsignal", f"expected a signal such as TERM, got {text!r}; TERM is taken")

    def _output(self, made: Made) -> None:
        where = self._section.values.get("stdout_logfile")
        if where and where.text.strip().lower() != "auto":
            name = made.table["name"]
            self._note("stdout_logfile", f"output goes to data/logs/{name}.log; try elf logs {name} --follow")
        if "stdout_logfile_maxbytes" in self._section.values:
            made.log_size = self._size("stdout_logfile_maxbytes")
        if "stdout_logfile_backups" in self._section.values:
            made.log_keep = self._number("stdout_logfile_backups", 10)

    def _user(self, known: Mapping[str, object], made: Made) -> None:
        if "user" not in self._section.values:
            return
        text = self._expanded("user", known).partition(":")[0].strip()
        try:
            entry = pwd.getpwuid(int(text)) if text.isdecimal() else pwd.getpwnam(text)
        except KeyError:
            made.left.append(f'user = "{text}"')
            self._note("user", f"no user {text} on this machine; try useradd {text} and taking user in")
            return
        if entry.pw_uid == os.geteuid():
            return
        if os.geteuid() == 0:
            made.table["user"] = entry.pw_name
        else:
            made.left.append(f'user = "{entry.pw_name}"')
            self._note("user", "only a node that runs as root can change it; try starting the node as root")

    # --- reading ---------------------------------------------------------------------------------------------

    def _expanded(self, key: str, known: Mapping[str, object], value: Value | None = None) -> str:
        value = value or self._section.values[key]
        try:
            text = expand(value.text, {**known, "here": value.here})
        except Unknown as problem:
            name = str(problem)
            what = (
                f"{name.removeprefix('ENV_')} is not set here"
                if name.startswith("ENV_")
                else f"nobody knows %({name})s"
            )
            raise LeftOut(f"{key}: {what}; try setting it and importing again") from None
        frozen = sorted(name.removeprefix("ENV_") for name in fields(value.text) if name.startswith("ENV_"))
        if frozen:
            self._note_at(
                value, key, f"{', '.join(frozen)} is put in as it is now; try importing again when it changes"
            )
        return text

    def _number(self, key: str, default: int) -> int:
        value = self._section.values.get(key)
        if value is None:
            return default
        try:
            return int(value.text)
        except ValueError:
            self._note(key, f"expected a whole number, got {value.text!r}; {default} is taken")
            return default

    def _flag(self, key: str, default: bool) -> bool:
        value = self._section.values.get(key)
        text = value.text.strip().lower() if value else ""
        if not text or text in _YES or text in _NO:
            return text in _YES if text else default
        self._note(key, f"expected true or false, got {text!r}; {str(default).lower()} is taken")
        return default

    def _size(self, key: str) -> int | None:
        text = self._section.values[key].text.strip().lower()
        number, unit = (text[:-2], _UNITS[text[-2:]]) if text[-2:] in _UNITS else (text, 1)
        if not number.strip().isdecimal():
            self._note(key, f"expected a size such as 50MB, got {text!r}; the default is taken")
            return None
        return int(number) * unit

    def _note(self, key: str, text: str) -> None:
        value = self._section.values.get(key)
        self._note_at(value, key, text) if value else self.notes.append(
            Note(self._section.file, self._section.line, f"[{self._section.name}]", text)
        )

    def _note_at(self, value: Value, key: str, text: str) -> None:
        self.notes.append(Note(value.file, value.line, f"[{self._section.name}] {key}", text))


def name_of(text: str) -> str:
    """Return a text as a worker may be named."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:64].strip("_") or "worker"
