"""What must hold between the keys of forest.toml, beyond each key by itself."""

import os
import pwd
import shutil
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from ipaddress import ip_address
from typing import Any

from actors.config import Forest, Queue, Worker, references
from actors.config_errand_rules import check_errands
from actors.config_errors import Said, Sheet, toml_text
from actors.config_formats import nearest
from actors.config_indicators import check_indicators
from actors.config_lines import Path
from actors.config_playbook_rules import check_playbooks
from actors.confinement import RLIMITS, cpu_base, too_high
from actors.elves.distribution import PARAMETERS
from actors.elves.distribution.parameters import problem
from actors.elves.rules import RULES

_WAYS = ("call", "exec", "command")
_TASKS_ONLY = ("batch", "concurrency")
_PLAIN_ONLY = ("ready_s", "beat_s")


def check_rules(forest: Forest, raw: Mapping[str, Any], sheet: Sheet, environ: Mapping[str, str]) -> None:
    """Put into the sheet what is wrong between keys; keys with an error of their own are passed over."""
    for table, names in (
        ("queue", [queue.name for queue in forest.queues]),
        ("worker", [worker.name for worker in forest.workers]),
        ("agent", [agent.name for agent in forest.agents]),
        ("job", [job.name for job in forest.jobs]),
        ("elf", [elf.name for elf in forest.elves]),
    ):
        _unique(table, names, sheet)
    queues = {queue.name: queue for queue in forest.queues}
    workers = [worker.name for worker in forest.workers]
    for number, queue in enumerate(forest.queues):
        others = [name for name in queues if name != queue.name]
        _known(
            ("queue", number, "overflow_to"), queue.overflow_to, others, "another queue of this file", sheet
        )
    for number, worker in enumerate(forest.workers):
        path: Path = ("worker", number)
        given = raw["worker"][number] if isinstance(raw["worker"][number], dict) else {}
        _ways(path, given, sheet)
        _queue(path, worker, given, queues, sheet)
        _bounds(path, worker, sheet)
        _environment(path, worker, environ, sheet)
        _rlimits(path, worker, sheet)
        _confined(path, worker, sheet)
        _known(
            (*path, "after"),
            worker.after,
            [w for w in workers if w != worker.name],
            "another worker of this file",
            sheet,
        )
    _order(forest, sheet)
    _units(forest, sheet)
    for number, reminder in enumerate(forest.reminders):
        if reminder.worker:
            _named(("reminder", number, "worker"), reminder.worker, workers, "a worker of this file", sheet)
    check_errands(forest, sheet, environ)
    _numbers(forest, sheet)
    _parameters(forest, sheet)
    _web(forest, sheet)
    for number, elf in enumerate(forest.elves):
        known = RULES.get(elf.name, ())
        for name in elf.rules if known else ():
            if name not in known:
                better = nearest(name, known) or f"one of {', '.join(known)}"
                sheet.add(("elf", number, "rules", name), f"a rule of {elf.name}", name, better)
    check_indicators(forest, sheet)
    check_playbooks(forest, sheet)


def _unique(table: str, names: Iterable[str], sheet: Sheet) -> None:
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        if not name or not sheet.sound((table, number), "name"):
            continue
        if name in first:
            sheet.add(
                (table, number, "name"), f"a name that no other [[{table}]] has", name, f'name = "{name}_2"'
            )
        first.setdefault(name, number)


def _named(path: Path, name: str, known: Iterable[str], what: str, sheet: Sheet) -> None:
    known = [other for other in known if other]
    if name not in known:
        key = next(part for part in reversed(path) if isinstance(part, str))
        better = nearest(name, known)
        hint = (
            f'{key} = "{better}"'
            if better
            else f"one of {', '.join(known)}"
            if known
            else f"leaving {key} out"
        )
        sheet.add(path, what, name, hint)


def _known(path: Path, names: Iterable[str], known: Iterable[str], what: str, sheet: Sheet) -> None:
    for number, name in enumerate(names):
        _named((*path, number), name, known, what, sheet)


def _ways(path: Path, given: Mapping[str, Any], sheet: Sheet) -> None:
    ways = [way for way in _WAYS if way in given]
    if not sheet.sound(path, *_WAYS) or len(ways) == 1:
        return
    if ways:
        sheet.add(
            (*path, ways[1]),
            "one of call, exec and command",
            Said(" and ".join(ways)),
            f"keeping {ways[0]} only",
        )
    else:
        sheet.add(path, "one of call, exec and command", Said("none"), 'command = ["python3", "worker.py"]')


def _queue(
    path: Path, worker: Worker, given: Mapping[str, Any], queues: Mapping[str, Queue], sheet: Sheet
) -> None:
    if not sheet.sound(path, "queue"):
        return
    if "command" in given:
        if worker.queue and "call" not in given and "exec" not in given:
            sheet.add(
                (*path, "queue"), "no queue for a plain command", worker.queue, "exec instead of command"
            )
        for key in _TASKS_ONLY:
            if key in given:
                sheet.add((*path, key), f"no {key} for a plain command", given[key], f"leaving {key} out")
    elif not worker.queue:
        if "call" in given or "exec" in given:
            sheet.add(
                path, "a queue to take tasks from", Said("none"), f'queue = "{next(iter(queues), "tasks")}"'
            )
    elif worker.queue not in queues:
        _named((*path, "queue"), worker.queue, queues, "a queue of this file", sheet)
    elif queues[worker.queue].serve != "pull":
        sheet.add(
            (*path, "queue"), 'a queue with serve = "pull"', worker.queue, 'serve = "pull" in that queue'
        )
    for key in _PLAIN_ONLY if "command" not in given else ():
        if key in given:
            sheet.add((*path, key), f"{key} only beside command", given[key], f"leaving {key} out")
    if "python" in given and "call" not in given:
        sheet.add(
            (*path, "python"), "python only beside call", given["python"], "naming it first in the command"
        )


def _bounds(path: Path, worker: Worker, sheet: Sheet) -> None:
    if sheet.sound(path, "min", "max") and worker.min > worker.max:
        sheet.add((*path, "min"), f"at most max = {worker.max}", worker.min, f"max = {worker.min}")
    if 0 < worker.beat_s < 1 and sheet.sound(path, "beat_s"):
        sheet.add((*path, "beat_s"), "0 for no beats, or at least 1", worker.beat_s, "beat_s = 1")
    if worker.night and sheet.sound(path, "night", "max"):
        if worker.night.max > worker.max:
            hint = f"max = {worker.max}"
            sheet.add(
                (*path, "night", "max"), f"at most the worker's max = {worker.max}", worker.night.max, hint
            )
        if worker.night.start == worker.night.end:
            sheet.add((*path, "night", "to"), "another time than from", worker.night.end, 'to = "06:00"')


def _environment(path: Path, worker: Worker, environ: Mapping[str, str], sheet: Sheet) -> None:
    for name, value in worker.env.items():
        where = (*path, "env", name)
        if not name.isascii() or not name.isidentifier():
            sheet.add(
                where, "a variable's name of letters, digits and '_'", Said(toml_text(name)), "another name"
            )
        if name.startswith("ELF_"):
            sheet.add(
                where,
                "a name outside ELF_, which is the node's",
                Said(toml_text(name)),
                f"{name[4:] or 'NAME'}",
            )
        for wanted in references(value):
            if wanted not in environ:
                sheet.add(
                    where, f"{wanted} in the node's environment", Said("nothing"), f"export {wanted}=..."
                )


def _rlimits(path: Path, worker: Worker, sheet: Sheet) -> None:
    for name, value in worker.rlimits.items():
        if name not in RLIMITS:
            better = nearest(name.lower().removeprefix("rlimit_"), RLIMITS)
            sheet.add(
                (*path, "rlimits", name), "a resource limit", name, better or f"one of {', '.join(RLIMITS)}"
            )
            continue
        hard = too_high(name, value)
        if hard is not None:
            what = f"at most this node's own limit of {hard}"
            sheet.add((*path, "rlimits", name), what, value, f"{name} = {hard}, or a node that runs as root")


def _confined(path: Path, worker: Worker, sheet: Sheet) -> None:
    """What this machine and this node's rights must have for the worker's limits."""
    if worker.rlimits and not shutil.which("prlimit"):
        sheet.add((*path, "rlimits"), "prlimit on PATH", Said("none"), "installing util-linux")
    if worker.user and sheet.sound(path, "user"):
        own = pwd.getpwnam(worker.user).pw_uid == os.geteuid()
        if not own and os.geteuid() != 0:
            sheet.add((*path, "user"), "a node that runs as root", worker.user, "leaving user out")
        elif not own and not shutil.which("setpriv"):
            sheet.add((*path, "user"), "setpriv on PATH", Said("none"), "installing util-linux")
    if worker.cpu_limit > 0 and cpu_base() is None:
        what = "a cgroup (version 2) with the cpu controller that this node may write"
        hint = "leaving cpu_limit out, or Delegate=cpu with DelegateSubgroup=node in the node's systemd unit"
        sheet.add((*path, "cpu_limit"), what, Said("none"), hint)


def _order(forest: Forest, sheet: Sheet) -> None:
    number = {worker.name: place for place, worker in reversed(list(enumerate(forest.workers)))}
    graph = {w.name: [name for name in w.after if name in number and name != w.name] for w in forest.workers}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        place = min(number[name] for name in cycle)
        # graphlib lists each worker before the one that comes after it.
        chain = " after ".join(reversed(cycle))
        sheet.add(
            ("worker", place, "after"), "an order without a circle", Said(chain), "removing one of them"
        )


def _units(forest: Forest, sheet: Sheet) -> None:
    owner: dict[str, str] = {}
    for number, worker in enumerate(forest.workers):
        if not worker.name or not sheet.sound(("worker", number), "name", "max"):
            continue
        if len(worker.units()[-1]) > 64:
            sheet.add(
                ("worker", number, "name"),
                "64 characters with the process number",
                worker.name,
                "a shorter name",
            )
        if worker.name == "agent" and (forest.agents or any(q.serve == "dispatch" for q in forest.queues)):
            what = "another name than agent, under which agents give their beats"
            sheet.add(("worker", number, "name"), what, worker.name, 'name = "helper"')
        for unit in worker.units():
            other = owner.setdefault(unit, worker.name)
            if other != worker.name:
                what = f"process names unlike those of {other}"
                sheet.add(("worker", number, "name"), what, unit, f'name = "{worker.name}_2"')
    for number, agent in enumerate(forest.agents):
        # What is decided about one of them is known by this name alone.
        if agent.name in owner:
            what = f"a name unlike that of a process of {owner[agent.name]}"
            sheet.add(("agent", number, "name"), what, agent.name, f'name = "{agent.name}_agent"')


def _numbers(forest: Forest, sheet: Sheet) -> None:
    limits = forest.limits
    gc, restart = limits.memory_gc_percent, limits.memory_restart_percent
    if sheet.sound(("limits",), "memory_gc_percent", "memory_restart_percent") and restart < gc:
        hint = f"memory_restart_percent = {min(100.0, gc + 10):g}"
        what = f"at least memory_gc_percent = {gc:g}"
        sheet.add(("limits", "memory_restart_percent"), what, restart, hint)
    for number, elf in enumerate(forest.elves):
        path: Path = ("elf", number)
        if sheet.sound(path, "mana") and elf.mana.start > elf.mana.capacity:
            what = f"at most capacity = {elf.mana.capacity}"
            sheet.add((*path, "mana", "start"), what, elf.mana.start, f"start = {elf.mana.capacity}")


def _parameters(forest: Forest, sheet: Sheet) -> None:
    policy = forest.policy
    if not sheet.sound(("policy",), "distribution"):
        return
    for name, value in policy.parameters.items():
        wrong = problem(policy.distribution, PARAMETERS[policy.distribution], name, value)
        if wrong and sheet.sound(("policy", "parameters"), name):
            sheet.add(("policy", "parameters", name), wrong[0], value, wrong[1])


def _web(forest: Forest, sheet: Sheet) -> None:
    if not sheet.sound(("web",), "host", "auth") or forest.web.auth or _loopback(forest.web.host):
        return
    sheet.add(("web", "host"), "a host of this machine only, or auth", forest.web.host, 'host = "127.0.0.1"')


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
