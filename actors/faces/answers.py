"""What the pages ask of the log's tables: tasks, decisions, alerts, mana, indicators, proposals."""

from collections.abc import Mapping
from typing import Any

import msgspec

from actors.faces.link import Link, Rows
from actors.place import ClientError

PAGE = 100
_LONGEST = 20_000
_SPANS = {"1h": (3600, 60), "6h": (21600, 300), "24h": (86400, 900), "7d": (604800, 7200)}

_TASKS = """
SELECT id, queue, type, priority, state, coalesce(nullif(worker, ''), agent) AS worker, attempts,
       epoch_us(submitted) AS submitted, epoch_us(finished) AS finished, response_s, service_s,
       left(error, 300) AS error,
       count(*) OVER () AS total
FROM tasks WHERE (? = '' OR state = ?) AND (? = '' OR queue = ?) AND (? = '' OR contains(id, ?))
ORDER BY submit_seq DESC LIMIT ? OFFSET ?
"""
_STATES = "SELECT state, count(*) AS n FROM tasks WHERE (? = '' OR queue = ?) GROUP BY state ORDER BY n DESC"
_TASK = """
SELECT t.id, t.queue, t.type, t.priority, t.state, coalesce(nullif(t.worker, ''), t.agent) AS worker, t.attempts,
       epoch_us(t.submitted) AS submitted, epoch_us(t.started) AS started, epoch_us(t.finished) AS finished,
       epoch_us(t.due) AS due, t.response_s, t.service_s, t.error, t.parent, s.body AS asked, e.body AS ended
FROM tasks t LEFT JOIN events s ON s.seq = t.submit_seq LEFT JOIN events e ON e.seq = t.end_seq
WHERE t.id = ? ORDER BY t.submit_seq DESC LIMIT 1
"""
_DECISIONS = """
SELECT seq, epoch_us(time) AS time, elf, kind, target, choice, reason, left(text, 400) AS text, mode, mana_cost,
       outcome, id, candidates
FROM decisions WHERE (? = '' OR elf = ?) AND (? = '' OR target = ?) AND (? OR choice != 'assign_task') AND seq < ?
ORDER BY seq DESC LIMIT ?
"""
_DECISION = """
SELECT d.seq, epoch_us(d.time) AS time, d.elf, d.kind, d.target, d.choice, d.reason, d.text, d.mode, d.mana_cost,
       d.outcome, d.outcome_detail, d.id, d.policy, d.version, d.as_of, d.trigger, d.epoch, d.probability, e.body
FROM decisions d JOIN events e ON e.seq = d.seq WHERE starts_with(d.id, ?) ORDER BY d.id = ? DESC LIMIT 1
"""
_STEPS = (
    "SELECT seq, epoch_us(time) AS time, step, ok, detail, took_ms FROM steps WHERE decision = ? ORDER BY seq"
)
_ALERTS = """
SELECT seq, epoch_us(opened) AS opened, epoch_us(closed) AS closed, cause, target, severity, count,
       left(text, 400) AS text, decision, verdict
FROM alerts ORDER BY seq DESC LIMIT 200
"""
_MANA = """
SELECT elf, (time // ?) * ? AS time, arg_max(level, position) AS level FROM mana_level
WHERE time >= ? GROUP BY ALL ORDER BY elf, time
"""
_SPENT = """
SELECT epoch_us(time) AS time, elf, cost, refunded, choice, target, seq FROM mana_spent ORDER BY seq DESC LIMIT 50
"""
_END = "SELECT time, forest, position FROM checkpoint"
_KPI = "SELECT * FROM kpi_rolling WHERE days = ? AND day = (SELECT max(day) FROM days) ORDER BY place"
_KPI_DAYS = """
SELECT day, name, value, met, n FROM kpi_daily WHERE day > (SELECT max(day) FROM days) - 30 ORDER BY day, place
"""
_WORK = """
SELECT (time // ?) * ? AS time, count(*) FILTER (what = 'submitted') AS submitted,
       count(*) FILTER (what = 'finished') AS done, count(*) FILTER (what IN ('failed', 'died')) AS failed,
       avg(service_ms) FILTER (what = 'finished') / 1000 AS service_s
FROM task_event WHERE time >= ? GROUP BY ALL ORDER BY time
"""
_SAMPLES = """
SELECT unit, (time // ?) * ? AS time, avg(cpu) / 10 AS cpu, max(memory) AS memory FROM unit_sample
WHERE time >= ? GROUP BY ALL ORDER BY unit, time
"""
_PROPOSALS = """
SELECT seq, epoch_us(time) AS time, id, elf, rule, target, text, state, mode, epoch_us(expires) AS expires,
       epoch_us(answered) AS answered, answer, claim, gain, low, high, n, risk, rollback, change, sql
FROM proposals ORDER BY state = 'open' DESC, seq DESC LIMIT 100
"""
_SPAN = "SELECT min(position) AS first, max(position) AS last, min(time) AS start, max(time) AS stop FROM log"
_AT = "SELECT max(position) AS position FROM log WHERE time <= ?"
_EVENTS = """
SELECT position, time, type, subject FROM log WHERE position < ? AND type NOT IN ('sampled', 'checkpoint')
ORDER BY position DESC LIMIT 100
"""
_BEYOND = 1 << 62

Words = Mapping[str, str]


async def tasks(link: Link, asked: Words) -> dict[str, Any]:
    """Return one page of tasks, newest first, and how many there are of each state."""
    state, queue, find = asked.get("state", ""), asked.get("queue", ""), asked.get("find", "")
    page = number(asked, "page", 0, 100_000)
    values = [state, state, queue, queue, find, find, PAGE, page * PAGE]
    rows = await link.rows(_TASKS, values)
    total = rows[0].pop("total") if rows else 0
    for row in rows[1:]:
        row.pop("total")
    states = await link.rows(_STATES, [queue, queue])
    return {"tasks": rows, "total": total, "page": page, "size": PAGE, "states": states}


async def task(link: Link, id: str) -> dict[str, Any]:
    """Return one task with what it carries and what came of it, both as text that a page can bear."""
    rows = await link.rows(_TASK, [id])
    if not rows:
        raise ClientError(f"expected a task of this forest, got {id[:60]!r}; try the list of tasks", 1)
    found = rows[0]
    asked, ended = found.pop("asked") or {}, found.pop("ended") or {}
    found["payload"] = _text(asked.get("payload"))
    found["result"] = _text(ended.get("result")) if found["state"] == "done" else ""
    return {"task": found}


def _text(value: object) -> str:
    if value is None:
        return ""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + f" … ({len(text):,})"


async def decisions(link: Link, asked: Words) -> dict[str, Any]:
    """Return decisions before a position, newest first."""
    elf, target = asked.get("elf", ""), asked.get("target", "")
    before = number(asked, "before", 0, _BEYOND) or _BEYOND
    rows = await link.rows(_DECISIONS, [elf, elf, target, target, asked.get("all") == "1", before, PAGE])
    return {"decisions": rows, "more": len(rows) == PAGE}


async def decision(link: Link, id: str) -> dict[str, Any]:
    """Return all that one decision rests on, candidates with their scores included."""
    rows = await link.rows(_DECISION, [id, id])
    if not rows:
        raise ClientError(
            f"expected a decision of this forest, got {id[:60]!r}; try the list of decisions", 1
        )
    found = rows[0]
    body = found.pop("body")
    found["candidates"] = body.get("candidates", [])
    found["inputs"] = body.get("inputs", {})
    found["action"] = body.get("action", {})
    return {"decision": found, "steps": await link.rows(_STEPS, [found["id"]])}


async def alerts(link: Link, _: Words) -> dict[str, Any]:
    """Return the open alerts as status has them, and those of the past."""
    page = await link.status()
    return {"open": page["alerts"], "past": await link.rows(_ALERTS)}


async def mana(link: Link, asked: Words) -> dict[str, Any]:
    """Return each elf's level over time, and what was paid last."""
    since, step, stop = await _window(link, asked)
    rows = await link.rows(_MANA, [step, step, since])
    return {"since": since, "until": stop, "levels": rows, "spent": await link.rows(_SPENT)}


async def kpi(link: Link, asked: Words) -> dict[str, Any]:
    """Return the indicators of the last days with their course, and the work done over time."""
    days = number(asked, "days", 1, 30)
    if days not in (1, 7, 30):
        raise ClientError(f"expected 1, 7 or 30 days, got {days}")
    since, step, stop = await _window(link, asked)
    return {
        "days": days,
        "indicators": await link.rows(_KPI, [days]),
        "daily": await link.rows(_KPI_DAYS),
        "since": since,
        "until": stop,
        "step": step,
        "work": await link.rows(_WORK, [step, step, since]),
    }


async def samples(link: Link, asked: Words) -> dict[str, Any]:
    """Return what each process tree used over time."""
    since, step, stop = await _window(link, asked)
    return {"since": since, "until": stop, "samples": await link.rows(_SAMPLES, [step, step, since])}


async def proposals(link: Link, _: Words) -> dict[str, Any]:
    """Return proposals and advice, open ones first."""
    return {"proposals": await link.rows(_PROPOSALS)}


async def span(link: Link, _: Words) -> dict[str, Any]:
    """Return from where to where the log reaches."""
    return (await link.rows(_SPAN))[0]


async def events(link: Link, asked: Words) -> dict[str, Any]:
    """Return what was said before a position, newest first, ticks left out."""
    before = number(asked, "before", 0, _BEYOND) or _BEYOND
    return {"events": [list(row.values()) for row in await link.rows(_EVENTS, [before])]}


async def position_at(link: Link, moment: int) -> int:
    """Return the last position not later than a moment in microseconds."""
    return int((await link.rows(_AT, [moment]))[0]["position"] or 0)


def number(asked: Words, name: str, default: int, most: int) -> int:
    """Read a whole number from what was asked. Raises ClientError."""
    text = asked.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > 19 or int(text) > most:
        raise ClientError(f"expected {name} as a number up to {most}, got {text[:40]!r}")
    return int(text)


async def _window(link: Link, asked: Words) -> tuple[int, int, int]:
    """Return since when, in steps of how long, until when: microseconds that end with the log."""
    name = asked.get("span", "1h")
    if name not in _SPANS:
        raise ClientError(f"expected span as one of {', '.join(_SPANS)}, got {name[:40]!r}")
    seconds, step = _SPANS[name]
    rows: Rows = await link.rows(_END)
    stop = int((rows[0]["forest"] or rows[0]["time"] or 0) if rows else 0)
    return stop - seconds * 1_000_000, step * 1_000_000, stop
