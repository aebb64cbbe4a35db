"""`elf status` and `elf mana`: the whole forest at one look."""

import asyncio
import sys
import time
from typing import Any

from actors.client import Client
from actors.faces.console.agent_table import show_agents
from actors.faces.console.failure import Exit
from actors.faces.console.options import HERE, Language, WhereOption, language
from actors.faces.console.output import clock, plain, show_json, show_table, size, span
from actors.faces.console.words import say
from actors.faces.look import action, bar, elf_line, marked, own_words, percent
from actors.faces.reasons import reason
from actors.place import Place


async def ask_status(place: Place) -> dict[str, Any]:
    """Return the node's own page. Raises NodeUnreachable."""
    async with await Client.open(place, "client") as client:
        return await client.ask("status")


def status(*, json: bool = False, lang: Language | None = None, where: WhereOption = HERE) -> int:
    """Show workers, queues, elves, alerts and what was done lately.

    Parameters
    ----------
    json
        Print the page as JSON; docs/commands.md has its shape.
    lang
        en or ja.
    """
    page = asyncio.run(ask_status(where.place()))
    if json:
        show_json(page)
        return Exit.FINE
    choice = language(lang)
    _print_node(page["node"], choice)
    show_page(page, choice)
    return Exit.FINE


def show_page(page: dict[str, Any], lang: Language) -> None:
    """Print everything of a status page but its node."""
    _print_workers(page["workers"], lang)
    if page["agents"]:
        print()
        show_agents(page["agents"], lang)
    _print_queues(page["queues"], lang)
    _print_elves(page, lang)
    _print_news(page, lang)


def _print_node(node: dict[str, Any], lang: Language) -> None:
    since = clock(int(float(node["started"]) * 1e6))
    print(
        f"{say('node', lang)} {node['id']} {node['version']}  {node['role']}  pid {node['pid']}"
        f"  {say('since', lang)} {since}  {say('position', lang)} {node['position']}  {node['data']}"
    )


def _print_workers(workers: list[dict[str, Any]], lang: Language) -> None:
    print()
    if not workers:
        print(say("no workers", lang))
        return
    words = ("worker", "state", "cpu", "memory", "tasks/h", "done", "errors", "restarts", "uptime", "pid")
    headings = ["CPU" if word == "cpu" else "PID" if word == "pid" else say(word, lang) for word in words]
    rows = []
    for worker in workers:
        cpu = worker["cpu_percent"]
        memory = size(worker["memory_bytes"])
        if worker["memory_limit_bytes"]:
            memory += f" / {size(worker['memory_limit_bytes'])}"
        rows.append(
            [
                worker["name"],
                marked(worker, lang),
                "-" if cpu is None else f"{cpu:.1f}%",
                memory,
                worker["tasks_per_hour"],
                worker["tasks_processed"],
                worker["errors"],
                worker["restarts"],
                span(worker["uptime_s"]),
                worker["pid"],
                own_words(worker),
            ]
        )
    if any(row[-1] for row in rows):
        headings.append(say("says", lang))
    else:
        rows = [row[:-1] for row in rows]
    show_table(headings, rows, numbers=(2, 3, 4, 5, 6, 7, 8, 9))


def _print_queues(queues: list[dict[str, Any]], lang: Language) -> None:
    if not queues:
        return
    print()
    headings = [say(word, lang) for word in ("queue", "pending", "in flight", "oldest", "in/min", "out/min")]
    rows = [
        [
            row["name"],
            row["pending"],
            row["in_flight"],
            span(row["oldest_age_s"] or None),
            row["arrival_per_min"],
            row["done_per_min"],
        ]
        for row in queues
    ]
    show_table(headings, rows, numbers=(1, 2, 3, 4, 5))


def _print_elves(page: dict[str, Any], lang: Language) -> None:
    print()
    now = float(page.get("time") or time.time())
    headings = [say(word, lang) for word in ("elf", "mode", "mana", "doing")]
    rows = [
        (elf["name"], mode_of(elf, lang), _level(percent(elf)), elf_line(elf, lang, now))
        for elf in page["elves"]
    ]
    show_table(headings, [*rows, (say("total", lang), "", _level(page["mana_total"]), "")], numbers=(2,))
    if page["paused"]:
        print(say("all elves only observe", lang))


def _level(value: float) -> str:
    """Spell a level of mana, for somebody who looks with its bar."""
    return f"{bar(value, 100)} {value:>3.0f}%" if sys.stdout.isatty() else f"{value:.0f}%"


def mode_of(elf: dict[str, Any], lang: Language) -> str:
    """Return an elf's mode and those of its rules that differ."""
    rules = [f"{rule} {say(mode, lang)}" for rule, mode in elf["rules"].items() if mode != elf["mode"]]
    return f"{say(elf['mode'], lang)} ({', '.join(rules)})" if rules else say(elf["mode"], lang)


def _print_news(page: dict[str, Any], lang: Language) -> None:
    for heading, lines in (
        ("alerts", [_alert_line(alert, lang) for alert in page["alerts"]]),
        ("proposals", [_deed_line(row, lang) for row in page["proposals"]]),
        ("actions", [_deed_line(row, lang) for row in page["actions"][:10]]),
    ):
        if lines:
            print(f"\n{say(heading, lang)}")
        for line in lines:
            print(plain(line))


def _alert_line(alert: dict[str, Any], lang: Language) -> str:
    about = f"{say(alert['severity'], lang)}  {alert['cause']} {alert['target']}"
    text = reason(alert["text"], lang, alert["target"])
    return f"  {_moment(alert['opened'])}  {about}  {text}{_known(alert, lang)}"


def _deed_line(row: dict[str, Any], lang: Language) -> str:
    return f"  {_moment(row['time'])}  {row['elf']}  {action(row, lang)}  [{row['decision']}]"


def _known(alert: dict[str, Any], lang: Language) -> str:
    state = alert_state(alert)
    return "" if state == "open" else f"  ({say(state, lang)})"


def alert_state(alert: dict[str, Any]) -> str:
    """Return what people said of an open alert."""
    return "silent" if alert["silent_until"] else "acknowledged" if alert["acknowledged"] else "open"


def _moment(seconds: float) -> str:
    return clock(int(seconds * 1e6))


def mana(*, json: bool = False, lang: Language | None = None, where: WhereOption = HERE) -> int:
    """Show what each elf may still spend on disturbing the system.

    Parameters
    ----------
    json
        Print {"mana_total", "paused", "elves": [...]}.
    lang
        en or ja.
    """
    page = asyncio.run(ask_status(where.place()))
    if json:
        show_json({key: page[key] for key in ("mana_total", "paused", "elves")})
        return Exit.FINE
    choice = language(lang)
    headings = [say(word, choice) for word in ("elf", "mana", "mode", "deferred")]
    rows = [
        [elf["name"], _level(percent(elf)), mode_of(elf, choice), elf["deferred"]] for elf in page["elves"]
    ]
    show_table(headings, [*rows, [say("total", choice), _level(page["mana_total"]), "", ""]], numbers=(1, 3))
    return Exit.FINE
