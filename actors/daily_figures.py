"""The figures of one day, as the log's tables give them: load, performance, prevention."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

Row = dict[str, Any]
Ask = Callable[[str, Sequence[object]], list[Row]]

_INDICATORS = """
SELECT name, value, target, met, n, unit, sense FROM kpi_rolling WHERE day = CAST(? AS DATE) AND days = 1 ORDER BY place
"""
_UNITS = """
SELECT if(agent, 'agent', 'worker') AS role, unit, count(*) FILTER (what = 'finished') AS done,
       count(*) FILTER (what IN ('failed', 'died')) AS failed, sum(greatest(time - claimed, 0)) / 1e6 AS busy_s,
       avg(greatest(time - claimed, 0)) FILTER (what = 'finished') / 1e6 AS mean_s
FROM task_end WHERE effective AND what <> 'released' AND day = CAST(? AS DATE)
GROUP BY ALL ORDER BY role, busy_s DESC, unit
"""
_HOURS = """
SELECT (e.time - d.start) // 3600000000 AS hour, count(*) FILTER (e.what = 'finished') AS done,
       count(*) FILTER (e.what IN ('failed', 'died')) AS failed
FROM task_end e JOIN days d ON d.day = e.day
WHERE e.effective AND e.what <> 'released' AND e.day = CAST(? AS DATE) GROUP BY ALL ORDER BY hour
"""
_TYPES = """
SELECT queue, type, count(*) FILTER (effective AND what = 'finished') AS done,
       count(*) FILTER (effective AND what IN ('failed', 'died')) AS failed,
       count(*) FILTER (final AND what = 'died') AS dead,
       avg(greatest(time - submitted, 0)) FILTER (final AND what = 'finished') / 1e6 AS response_s,
       quantile_cont(greatest(time - submitted, 0), 0.95) FILTER (final AND what = 'finished') / 1e6 AS p95_s,
       avg(greatest(time - claimed, 0)) FILTER (effective AND what = 'finished') / 1e6 AS service_s
FROM task_end WHERE day = CAST(? AS DATE) AND (effective OR final) AND what <> 'released'
GROUP BY ALL ORDER BY done DESC, queue, type
"""
_RESPONSE = """
SELECT count(*) AS done, quantile_cont(r, 0.5) AS p50_s, quantile_cont(r, 0.95) AS p95_s,
       quantile_cont(r, 0.99) AS p99_s
FROM (SELECT greatest(time - submitted, 0) / 1e6 AS r FROM task_end
      WHERE final AND what = 'finished' AND day = CAST(? AS DATE))
"""
_ERRORS = """
SELECT left(error, 120) AS error, kind AS failure, queue, type, count(*) AS n, count(DISTINCT unit) AS units
FROM task_end WHERE effective AND what IN ('failed', 'died') AND day = CAST(? AS DATE)
GROUP BY ALL ORDER BY n DESC, error LIMIT 10
"""
_AGENT_DAYS = """
SELECT agent, busy_s, up_s, load, done, work_s FROM agent_days WHERE day = CAST(? AS DATE) ORDER BY agent
"""
_ALERTS = """
SELECT cause, count(*) AS opened, count(closed) AS closed, count(DISTINCT target) AS targets,
       avg(epoch(closed) - epoch(opened)) AS open_s
FROM alerts, days WHERE days.day = CAST(? AS DATE) AND epoch_us(opened) BETWEEN start AND stop - 1
GROUP BY cause ORDER BY opened DESC, cause
"""
_FORECASTS = """
SELECT verdict, count(*) AS n FROM forecasts WHERE day = CAST(? AS DATE) GROUP BY verdict ORDER BY verdict
"""
_INTERVENTIONS = """
WITH acts AS (
    SELECT i.* FROM interventions i, days
    WHERE days.day = CAST(? AS DATE) AND epoch_us(i.time) BETWEEN start AND stop - 1
),
struck AS (
    SELECT a.seq, sum(greatest(epoch_us(a.time) - c.time, 0)) / 1e6 AS cost_s, count(*) AS claims
    FROM acts a JOIN task_claim c ON c.unit = a.target AND c.position < a.seq
    JOIN task_end e ON e.claim = c.position AND e.effective AND e.position > a.seq AND e.what <> 'finished'
    WHERE a.choice IN ('stop_unit', 'restart_unit', 'restart_agent') GROUP BY a.seq
),
spared AS (
    SELECT g.seq, greatest(epoch(coalesce(r.recovered, n.forest_time)) - epoch(g.ended), 0) AS saved_s
    FROM assignments g JOIN acts a ON a.seq = g.seq
    CROSS JOIN log_end n
    JOIN recoveries r ON r.agent = g.previous AND r.down <= g.time AND coalesce(r.recovered, n.forest_time) > g.time
    WHERE g.outcome = 'done'
)
SELECT a.elf, a.kind AS rule, a.choice, count(*) AS n, count(*) FILTER (a.outcome = 'verified') AS verified,
       count(*) FILTER (a.outcome = 'failed') AS failed, avg(a.took_s) AS took_s, sum(a.mana_cost) AS mana,
       sum(p.saved_s) AS saved_s, sum(s.cost_s) AS cost_s
FROM acts a LEFT JOIN struck s ON s.seq = a.seq LEFT JOIN spared p ON p.seq = a.seq
GROUP BY ALL ORDER BY n DESC, a.elf, rule
"""
_OUTAGES = """
SELECT r.agent, r.down, r.recovered, r.took_s FROM recoveries r, days d
WHERE d.day = CAST(? AS DATE) AND epoch_us(r.down) < d.stop
      AND (r.recovered IS NULL OR epoch_us(r.recovered) >= d.start)
ORDER BY r.down
"""
_JOBS = """
SELECT job, kind, count(*) AS runs, count(*) FILTER (NOT ok) AS bad, arg_max(tail, seq) FILTER (NOT ok) AS tail
FROM job_runs WHERE day = CAST(? AS DATE) GROUP BY ALL ORDER BY job
"""


def span(ask: Ask) -> tuple[str, str, int] | None:
    """Return the log's first and last day and its last position; None for a log without events."""
    (row,) = ask("SELECT min(day) AS first, max(day) AS last, (SELECT seq FROM log_end) AS seq FROM days", [])
    return (row["first"], row["last"], row["seq"]) if row["first"] else None


def figures(ask: Ask, day: str) -> dict[str, Any]:
    """Return all figures of a day of the log, beside those of the day before and of the same day a week before."""
    others = {"before": 1, "weekday": 7}
    compared = {name: _back(day, days) for name, days in others.items()}
    indicators = ask(_INDICATORS, [day])
    for name, other in compared.items():
        known = {row["name"]: row["value"] for row in ask(_INDICATORS, [other])}
        for row in indicators:
            row[name] = known.get(row["name"])
    response = {name: ask(_RESPONSE, [other])[0] for name, other in {"day": day, **compared}.items()}
    verdicts = dict.fromkeys(("right", "wrong", "averted", "missed"), 0)
    verdicts |= {row["verdict"]: row["n"] for row in ask(_FORECASTS, [day])}
    return {
        "day": day,
        "compared": compared,
        "load_distribution": {
            "units": ask(_UNITS, [day]),
            "agents": ask(_AGENT_DAYS, [day]),
            "hours": ask(_HOURS, [day]),
        },
        "performance_impact": {
            "indicators": indicators,
            "response": response,
            "types": ask(_TYPES, [day]),
            "errors": ask(_ERRORS, [day]),
        },
        "failure_prevention": {
            "forecasts": verdicts,
            "alerts": ask(_ALERTS, [day]),
            "interventions": ask(_INTERVENTIONS, [day]),
            "outages": ask(_OUTAGES, [day]),
            "jobs": ask(_JOBS, [day]),
        },
    }


def has_data(found: dict[str, Any]) -> bool:
    """Tell whether anything at all was done, said or measured on the day."""
    prevention = found["failure_prevention"]
    said = any(prevention["forecasts"].values()) or any(
        prevention[part] for part in ("alerts", "interventions", "outages", "jobs")
    )
    load = found["load_distribution"]
    return bool(said or load["units"] or load["agents"])


def _back(day: str, days: int) -> str:
    return (date.fromisoformat(day) - timedelta(days=days)).isoformat()
