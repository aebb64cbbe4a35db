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

from actors.supervisord_reader import Section, Unknown, Value, expand, fields
from actors.supervisord_values import NO, YES, LeftOut, Values

_PLUMBING = re.compile(r"\|\|?|&&?|;|\d*>>?(&\d)?|<|\d>&\d|\$\{?\w+\}?|`.*")
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
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


class Program(Values):
    """Reads one [program:x]. `notes` are what a person should know of it."""

    def __init__(
        self, section: Section, group: str, shared: Mapping[str, Value], environ: Mapping[str, str]
    ) -> None:
        super().__init__(section, shared)
        self._group = group or section.own
        self._environ = environ

    def workers(self) -> list[Made]:
        """Return one pool, or one worker for each process if they differ. Raises LeftOut."""
        count = self.number("numprocs", 1)
        if count < 1:
            raise LeftOut(f"expected numprocs of at least 1, got {count}; try numprocs=1")
        if "command" not in self.section.values:
            raise LeftOut("expected a command, got none; try command=…")
        differs = any(
            _PER_PROCESS & fields(value.text)
            for key, value in self.section.values.items()
            if key in ("command", "environment", "directory", "user")
        )
        for key, value in self.section.values.items():
            said = value.text.strip().lower() not in {*NO, "auto", "none"}
            if key.startswith("stderr_logfile") and self.flag("redirect_stderr", False):
                continue
            if key in _WITHOUT and said:
                self.note(key, _WITHOUT[key].format(worker=name_of(self.section.own)))
            elif key not in _CARRIED and key not in _WITHOUT:
                self.note(key, "supervisord has no such key, it is left out")
        first = self.number("numprocs_start", 0)
        if count == 1 or not differs:
            if count > 1:
                self.note("numprocs", f"processes are named {name_of(self.section.own)}-1 to -{count}")
            return [self._worker(first, count, name_of(self.section.own))]
        made = [
            self._worker(number, 1, self._process_name(number, count))
            for number in range(first, first + count)
        ]
        self.notes = list(dict.fromkeys(self.notes))
        self.note(
            "numprocs",
            f"its processes differ, so each is a worker of its own: {made[0].table['name']} and on",
        )
        return made

    def _process_name(self, number: int, count: int) -> str:
        value = self.section.values.get("process_name")
        text = value.text if value else "%(program_name)s_%(process_num)02d"
        try:
            return name_of(expand(text, self._known(number, count)))
        except (Unknown, ValueError):
            return name_of(f"{self.section.own}_{number}")

    def _known(self, number: int, count: int) -> dict[str, object]:
        here = self.section.values["command"].here
        return {
            "here": here,
            "program_name": self.section.own,
            "group_name": self._group,
            "host_node_name": os.uname().nodename,
            "process_num": number,
            "numprocs": count,
            **{f"ENV_{name}": text for name, text in self._environ.items()},
        }

    def _worker(self, number: int, count: int, name: str) -> Made:
        known = self._known(number, count)
        made = Made(
            table={"name": name}, origin=f"[{self.section.name}], {self.section.file}:{self.section.line}"
        )
        env = self.environment(known, made.left)
        known |= {f"ENV_{key}": text for key, text in env.items()}
        made.table["command"] = self._command(known)
        self._folder(known, made)
        made.secret = self.secret
        if env:
            made.table["env"] = env
        if count > 1:
            made.table |= {"min": count, "max": count}
        if not self.flag("autostart", True):
            made.table |= {"min": 0, "max": count}
            made.waits = False
            self.note("autostart", f"nothing runs until you say so; try elf worker scale {name} {count}")
        self._life(made)
        self._output(made)
        self._user(known, made)
        return made

    # --- what runs -------------------------------------------------------------------------------------------

    def _command(self, known: Mapping[str, object]) -> list[str]:
        value = self.section.values["command"]
        text = self.expanded("command", known)
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
            self.note(
                "command",
                "a shell stands between: it is what is watched and measured; try exec before the program",
            )
        elif plumbing:
            line = " ".join(words)
            self.note(
                "command",
                f"no shell reads it, {plumbing[0]} is an argument like any other, as under supervisord;"
                f' try command = ["sh", "-c", "{line}"]',
            )
        if "/" in words[0] and not words[0].startswith("/"):
            words[0] = str(value.here / words[0])
            self.note("command", f"supervisord looks for it where it was started, here it is {words[0]}")
        if not (os.access(words[0], os.X_OK) if "/" in words[0] else shutil.which(words[0])):
            self.note(
                "command",
                f"no program {words[0]} on this machine; try another path before the node is started",
            )
        return words

    def _folder(self, known: Mapping[str, object], made: Made) -> None:
        key = "directory"
        value = self.section.values.get(key) or self.shared.get(key)
        if value is None:
            made.homeless = True
            return
        folder = self.expanded(key, known, value)
        if os.path.isdir(folder):
            made.table["cwd"] = os.path.abspath(folder)
        else:
            made.left.append(f"cwd = {folder!r}")
            self.note_at(value, key, f"no folder {folder} on this machine; try making it and taking cwd in")

    # --- how it lives ----------------------------------------------------------------------------------------

    def _life(self, made: Made) -> None:
        made.priority = self.number("priority", 999)
        restarts = self.section.values.get("autorestart")
        if restarts is None:
            made.restarts = False
        elif restarts.text.strip().lower() not in YES:
            self.note(
                "autorestart",
                "a worker that ended is started again, whatever its exit code; try [[job]] for what runs once,"
                f" or elf worker stop {made.table['name']}",
            )
        if "startretries" in self.section.values:
            made.table["restart"] = {"burst": max(1, self.number("startretries", 3) + 1)}
        if "startsecs" in self.section.values:
            made.steady_s = self.number("startsecs", 1)
        if "stopsignal" in self.section.values:
            self._signal(made)
        if "stopwaitsecs" in self.section.values:
            made.table["stop_wait_s"] = max(0, self.number("stopwaitsecs", 10))
        for key in ("stopasgroup", "killasgroup"):
            if key in self.section.values and not self.flag(key, False):
                self.note(
                    key, "the stop signal and KILL always reach the whole process group and every child"
                )

    def _signal(self, made: Made) -> None:
        text = self.section.values["stopsignal"].text.strip().upper().removeprefix("SIG")
        try:
            made.table["stop_signal"] = signal.Signals(int(text)).name[3:] if text.isdecimal() else text
            signal.Signals[f"SIG{made.table['stop_signal']}"]
        except (ValueError, KeyError):
            del made.table["stop_signal"]
            self.note("stopsignal", f"expected a signal such as TERM, got {text!r}; TERM is taken")

    def _output(self, made: Made) -> None:
        where = self.section.values.get("stdout_logfile")
        if where and where.text.strip().lower() != "auto":
            name = made.table["name"]
            self.note("stdout_logfile", f"output goes to data/logs/{name}.log; try elf logs {name} --follow")
        if "stdout_logfile_maxbytes" in self.section.values:
            made.log_size = self.size("stdout_logfile_maxbytes")
        if "stdout_logfile_backups" in self.section.values:
            made.log_keep = self.number("stdout_logfile_backups", 10)

    def _user(self, known: Mapping[str, object], made: Made) -> None:
        if "user" not in self.section.values:
            return
        text = self.expanded("user", known).partition(":")[0].strip()
        try:
            entry = pwd.getpwuid(int(text)) if text.isdecimal() else pwd.getpwnam(text)
        except KeyError:
            made.left.append(f'user = "{text}"')
            self.note("user", f"no user {text} on this machine; try useradd {text} and taking user in")
            return
        if entry.pw_uid == os.geteuid():
            return
        if os.geteuid() == 0:
            made.table["user"] = entry.pw_name
        else:
            made.left.append(f'user = "{entry.pw_name}"')
            self.note("user", "only a node that runs as root can change it; try starting the node as root")


def name_of(text: str) -> str:
    """Return a text as a worker may be named."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:64].strip("_") or "worker"
