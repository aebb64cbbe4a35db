"""A node that goes on from four weeks behind it: what they teach is proposed, what has a time comes at its time.

The weeks are a recorded past of observations (`tests.past`); the node, its workers and what it decides are real. Its
clock is set, so that Friday noon, the night and Monday morning come when the test wants them.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from actors.audit import replay
from actors.config_reader import read_forest
from events.decisions import Decided, Prepare, Propose, ProposeMaintenance, ProposeRestart, Remind, ScalePool
from events.observations import WorkerReady
from events.outcomes import EffectVerified, WorkerStarted
from events.settings import Settings, WorkerSettings
from events.tasks import TaskFinished
from tests.archive.folder import elf
from tests.past import Past
from tests.real_node import ROOT, RealNode

TOKYO = ZoneInfo("Asia/Tokyo")
MONDAY = datetime(2026, 2, 2, tzinfo=TOKYO)
FRIDAY = datetime(2026, 3, 6, tzinfo=TOKYO)
NIGHT = 'night = { from = "22:00", to = "06:00", max = 1 }\n'
SEED = {
    "17:00": "夜間バッチ準備",
    "23:00": "ログローテーション",
    "09:00": "日次レポート生成",
    "月曜 10:00": "週次集計",
    "30分毎": "結果キューチェック",
}


def forest(folder: Path) -> str:
    """Return three pools, the seed's reminders, and limits that let one day pass in a minute."""
    head = (
        "[limits]\nlearn_s = 1\nscale_down_s = 86400\nscale_drain_s = 1\nsteady_s = 0.5\nqueue_jam_s = 86400\n"
        "queue_drain_s = 86400\n"
    )
    pools = (
        (
            "mail",
            "nap",
            'min = 1\nmax = 3\nmemory_limit = "1GB"\nnotice_file = "mail.json"\n' + NIGHT,
        ),
        ("lots", "batch", "batch = 5\n"),
        ("crew", "work", "concurrency = 2\n"),
    )
    tables = (
        f'[[queue]]\nname = "{name}"\n[[worker]]\nname = "{name}"\nqueue = "{name}"\ncall = "wearing:{call}"\n'
        f'cwd = "{ROOT / "tests" / "handlers"}"\nstop_wait_s = 2\nenv = {{ NOTED = "{folder / "noted"}" }}\n{more}'
        for name, call, more in pools
    )
    lines = (
        f'[[reminder]]\nworker = "mail"\nwhen = "{when}"\ntext = "{text}"\n' for when, text in SEED.items()
    )
    return head + "".join((*tables, *lines))


def changed(settings: Settings, **pools: dict[str, int]) -> Settings:
    """Return settings with other sizes of pools."""

    def size(worker: WorkerSettings) -> WorkerSettings:
        return replace(worker, **pools.get(worker.name, {}))

    return replace(settings, workers=tuple(size(worker) for worker in settings.workers))


def weeks(past: Past) -> None:
    """Four weeks and four days: tasks in the morning and at one, on Fridays five times as many at one."""
    for unit, pool in (("mail-1", "mail"), ("lots", "lots"), ("crew", "crew")):
        past.start(unit, pool)
    for hour in range(32 * 24):
        past.now = MONDAY + timedelta(hours=hour, minutes=30)
        past.look()
        day, clock = hour // 24 % 7, hour % 24
        if clock == 9 and day < 5:
            for _ in range(9):
                past.work(past.submit("mail", "short"), "mail", "mail-1", 200)
        if clock == 13 and day < 5:
            kinds = ["long" if number % 6 == 0 else "short" for number in range(36 if day == 4 else 6)]
            tasks = [(past.submit("mail", kind), kind) for kind in kinds]
            for task, kind in tasks:
                past.work(task, "mail", "mail-1", 20_000 if kind == "long" else 200)
        if hour == 10 * 24 + 13:
            short_of_memory(past)
        if hour == 20 * 24 + 2:
            sizes(past)
    wear(past)


def short_of_memory(past: Past) -> None:
    """For a while the worker is nearly full, and most of its tasks fail."""
    past.look(mail=900)
    for number in range(26):
        error = "MemoryError: cannot take 50 MB" if number % 13 else ""
        past.work(past.submit("mail", "short"), "mail", "mail-1", 200, error)
    past.look()


def sizes(past: Past) -> None:
    """Under full load for an hour and a half, with batches of five and ten, two tasks at once and four."""
    base, tried = past.settings, changed(past.settings, lots={"batch": 10}, crew={"slots": 4})
    for stretch in range(6):
        past.adopt(tried if stretch % 2 else base)
        past.look(waiting=("lots", "crew"))
        for span in range(5):
            for queue, done in (
                ("lots", 10 + span % 2 if stretch % 2 else 5),
                ("crew", 9 if stretch % 2 else 4 + span % 2),
            ):
                for _ in range(done):
                    past.end_of(queue, queue, 1000)
            past.now += timedelta(seconds=301)
            past.look(waiting=("lots", "crew"))
    past.adopt(base)


def wear(past: Past) -> None:
    """A process becomes slow, its restart undoes that, the next one becomes slow as well."""
    past.start("crew", "crew")
    for generation in range(2):
        for number in range(80):
            past.end_of("crew", "crew", 10 if number < 20 else 300)
        if not generation:
            past.start("crew", "crew")


async def begin(folder: Path, at: datetime) -> tuple[RealNode, int]:
    """Plant the weeks and start a node on them whose clock shows this time; return how many events they are, too."""
    node = RealNode(folder, forest(folder))
    node.config.write_text(node.config.read_text().replace("[node]\n", '[node]\ntimezone = "Asia/Tokyo"\n'))
    past = Past(node.name, read_forest(node.config).settings(b"past"), MONDAY)
    weeks(past)
    # What a command does has a loop of its own.
    await asyncio.to_thread(past.plant, node.data)
    node.show(at)
    await node.start()
    return node, len(past.events)


async def proposed(node: RealNode, rule: str, target: str) -> Propose:
    """Wait for a proposal of this node's own."""

    def found(_: object) -> list[Propose]:
        said = node.all(Decided, rule=rule, target=target, elf="wisdom")
        return [body.action for _, body in said if isinstance(body.action, Propose)]

    proposal = (await node.wait(found, 60, f"a proposal of {rule} about {target}"))[0]
    assert proposal.expires > FRIDAY.timestamp() * 1e6
    return proposal


async def told(node: RealNode, text: str, at: datetime) -> None:
    """Let the clock show the second before, and wait until the reminder came at its time and arrived."""
    node.show(at - timedelta(seconds=1))
    due = int(at.timestamp() * 1_000_000)

    def found(_: object) -> tuple[int, Remind] | None:
        for position, decided in node.all(Decided, rule="remind"):
            action = decided.action
            if isinstance(action, Remind) and (action.words, action.due) == (text, due):
                return position, action
        return None

    position, action = (await node.wait(found, 60, f"{text} at {at}")) or (0, None)
    assert action
    assert action.late_s == 0
    decision = node.events[position - 1].id
    _, verified = await node.saw(EffectVerified, decision=decision)
    assert "log of mail-1" in verified.detail
    assert f"reminder: {text} [{decision}]" in (node.data / "logs" / "mail-1.log").read_text()


def noted(folder: Path, do: str) -> list[dict[str, Any]]:
    """Return the messages of a kind that handlers got."""
    path = folder / "noted"
    lines = path.read_text().splitlines() if path.exists() else []
    return [message for message in map(json.loads, lines) if message["do"] == do]


def wanted(node: RealNode) -> Sequence[str]:
    """Return the units of the pool that are wanted."""
    sizes = [
        body.action.units
        for _, body in node.all(Decided, elf="balance")
        if isinstance(body.action, ScalePool)
    ]
    return sizes[-1] if sizes else ()


async def lessons(node: RealNode) -> None:
    """What four weeks teach stands as a proposal, with claim, query, effect, interval, risk and rollback."""
    friday = await proposed(node, "weekly_pattern", "mail/short")
    assert "Fridays from 12 to 18 h" in friday.claim
    assert 3.0 < friday.low <= friday.high < 7.0
    memory = await proposed(node, "error_condition", "mail")
    assert (
        "24 of 24 errors 'error: MemoryError: cannot take # MB' on mail came with memory above 85 %"
        in memory.claim
    )
    timeout = await proposed(node, "timeout", "mail")
    assert (timeout.change["now"], timeout.change["to"]) == (600.0, 31.0)
    order = await proposed(node, "order", "mail")
    assert order.high < 0.9
    assert order.change["to"] == "one of their own for the short types: short"
    batch = await proposed(node, "size", "lots")
    assert "with batch 10 instead of 5" in batch.claim
    assert batch.low > 1.8
    slots = await proposed(node, "size", "crew")
    assert "with slots 4 instead of 2" in slots.claim
    limit = await proposed(node, "memory_limit", "mail")
    assert (limit.change["now"], limit.change["to"]) == (1_000_000_000, 1_350_000_000)
    fresh = await proposed(node, "memory_limit", "crew")
    assert (fresh.change["now"], fresh.change["to"]) == (0, 90_000_000)
    code, out, err = await elf("plan", "--json", "--data", node.data)
    assert code == 0, err
    rows = json.loads(out)
    shown = {(row["rule"], row["target"]) for row in rows}
    assert shown >= {
        ("weekly_pattern", "mail/short"),
        ("order", "mail"),
        ("size", "crew"),
        ("memory_limit", "mail"),
    }
    for row in rows:
        if row["rule"] in ("weekly_pattern", "order", "timeout", "memory_limit"):
            code, counted, err = await elf("sql", row["sql"], "--json", "--data", node.data)
            assert (code, bool(json.loads(counted))) == (0, True), err


@pytest.mark.slow
async def test_four_weeks_teach_and_a_day_goes_by_with_all_that_has_its_time(tmp_path: Path) -> None:
    node, behind = await begin(tmp_path, FRIDAY.replace(hour=12, minute=40))
    try:
        for unit in ("mail-1", "lots", "crew"):
            await node.saw(WorkerReady, behind, unit=unit)
        await lessons(node)
        # Two hours at night with nothing to do; a restart where a restart helped before.
        _, quiet = await node.saw(Decided, rule="maintenance")
        assert isinstance(quiet.action, ProposeMaintenance)
        assert quiet.action.end - quiet.action.start == 2 * 3_600_000_000
        assert quiet.inputs["busy_ms"] == 0.0
        await node.submit("crew", [(f"crew-{number}", number) for number in range(75)])
        _, worn = await node.saw(Decided, rule="restart_advice", target="crew")
        assert isinstance(worn.action, ProposeRestart)
        assert worn.inputs["undone"] >= 1
        assert 0 < worn.action.at - FRIDAY.timestamp() * 1e6 < 2 * 86_400e6
        # At ten to one everybody hears that Friday's tasks are coming.
        node.show(FRIDAY.replace(hour=12, minute=49, second=59))
        _, ahead = await node.saw(Decided, rule="prepare", target="mail")
        assert isinstance(ahead.action, Prepare)
        assert (ahead.action.kind, ahead.action.expected) == ("short", 30)
        await node.wait(lambda _: noted(tmp_path, "prepare"), 60, "the announcement at the handler")
        await the_seed_s_lines(node)
        await the_night(node)
        monday = FRIDAY + timedelta(days=3)
        await told(node, "日次レポート生成", monday.replace(hour=9))
        await told(node, "週次集計", monday.replace(hour=10))
        await node.wait(
            lambda _: {message["text"] for message in noted(tmp_path, "remind")} >= set(SEED.values()),
            60,
            "all reminders at the handler",
        )
        notices = json.loads((tmp_path / "mail.json").read_text())["notices"]
        assert "週次集計" in [notice["text"] for notice in notices]
        assert await node.stop() == 0
        report = replay(lambda: iter([node.events]))
        assert report.divergences == []
    finally:
        await node.clear()


async def the_seed_s_lines(node: RealNode) -> None:
    """Every half hour and at five."""
    await told(node, "結果キューチェック", FRIDAY.replace(hour=13))
    await told(node, "結果キューチェック", FRIDAY.replace(hour=13, minute=30))
    await told(node, "夜間バッチ準備", FRIDAY.replace(hour=17))


async def the_night(node: RealNode) -> None:
    """A pool that its backlog made large is cut down at ten at night; at eleven it is reminded to rotate its logs."""
    before = len(node.all(TaskFinished, queue="mail"))
    await node.submit("mail", [(f"nap-{number}", 0.05) for number in range(60)])
    await node.wait(lambda _: len(wanted(node)) == 3, 60, "three processes")
    await node.wait(lambda _: len(node.all(TaskFinished, queue="mail")) == before + 60, 60, "sixty naps")
    await node.saw(WorkerStarted, unit="mail-3")
    node.show(FRIDAY.replace(hour=21, minute=59, second=59))
    await node.wait(lambda _: len(wanted(node)) == 1, 60, "one process at night")
    cut = [body for _, body in node.all(Decided, rule="scale")][-1]
    assert cut.inputs["high"] == 1
    await told(node, "ログローテーション", FRIDAY.replace(hour=23))
