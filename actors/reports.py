"""Reports and proposals as Markdown, from answers to SQL: every figure can be asked for again."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from actors.report_packages import newer

Query = Callable[[str, Sequence[object]], list[dict[str, Any]]]


class Desk(Struct, frozen=True):
    """Who answers, in which language to write, and how many hours back to look."""

    query: Query
    language: Literal["en", "ja"]
    hours: float

    def say(self, english: str, japanese: str) -> str:
        """Return one of two texts."""
        return japanese if self.language == "ja" else english

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Ask; `$since` is where the time begins."""
        return self.query(sql.replace("$since", _SINCE), [self.hours])


class Page(Struct, frozen=True):
    """One report."""

    title: str
    text: str


# Counted back from the last event and not from now, so that a stopped folder can be reported on.
_SINCE = "(SELECT max(time) FROM events) - to_milliseconds(CAST(? * 3600000 AS BIGINT))"

_DONE = """
SELECT queue, count(*) FILTER (submitted >= since) AS submitted,
       count(*) FILTER (state = 'done' AND finished >= since) AS done,
       count(*) FILTER (state IN ('dead', 'dropped') AND finished >= since) AS dead,
       count(*) FILTER (state IN ('waiting', 'delayed', 'failed', 'assigned')) AS waiting,
       count(*) FILTER (state = 'running') AS running
FROM tasks, (SELECT $since AS since) GROUP BY queue ORDER BY queue
"""
_WHO = """
SELECT coalesce(nullif(agent, ''), worker) AS who, count(*) AS done, round(avg(service_s), 3) AS mean_s
FROM tasks, (SELECT $since AS since) WHERE state = 'done' AND finished >= since GROUP BY who ORDER BY done DESC LIMIT 20
"""
_FAILURES = """
SELECT queue, coalesce(failure, '') AS kind, left(coalesce(error, ''), 90) AS error, count(*) AS times
FROM tasks, (SELECT $since AS since)
WHERE state IN ('dead', 'failed', 'dropped') AND coalesce(finished, started) >= since
GROUP BY ALL ORDER BY times DESC LIMIT 20
"""
_JOBS = """
SELECT job, kind, count(*) AS runs, count(*) FILTER (ok) AS good, max(time) AS last, round(avg(took_s), 1) AS mean_s
FROM job_runs, (SELECT $since AS since) WHERE time >= since GROUP BY job, kind ORDER BY job
"""
_ALERTS = """
SELECT opened, cause, target, severity, "count" AS said, closed IS NULL AS still_open
FROM alerts, (SELECT $since AS since) WHERE opened >= since OR closed IS NULL ORDER BY opened DESC LIMIT 30
"""
_SPEED = """
SELECT queue, count(*) AS done, round(avg(service_s), 3) AS mean_s, round(quantile_cont(service_s, 0.95), 3) AS p95_s,
       round(quantile_cont(response_s, 0.5), 3) AS response_p50_s,
       round(quantile_cont(response_s, 0.95), 3) AS response_p95_s
FROM tasks, (SELECT $since AS since) WHERE state = 'done' AND finished >= since GROUP BY queue ORDER BY queue
"""
_WORKERS = """
SELECT name, state, generation, restarts, tasks_processed AS done, errors, round(cpu_percent, 1) AS cpu,
       round(memory_bytes / 1e6, 1) AS memory_mb FROM workers WHERE ? > 0 ORDER BY name
"""
_WORN = """
SELECT time, target, kind, text FROM decisions, (SELECT $since AS since)
WHERE time >= since
  AND kind IN ('restart_advice', 'maintenance', 'condition', 'memory', 'crash', 'redistribute', 'overflow_batch')
ORDER BY time DESC LIMIT 30
"""
_SLOW = """
SELECT queue, type, count(*) AS done, round(avg(service_s), 2) AS mean_s, round(max(service_s), 2) AS longest_s,
       round(sum(service_s) / 3600, 2) AS hours
FROM tasks, (SELECT $since AS since) WHERE state = 'done' AND finished >= since
GROUP BY queue, type ORDER BY hours DESC LIMIT 10
"""


def progress(desk: Desk) -> Page:
    """Say what was asked for and done, by queue and by who did it."""
    title = desk.say("Progress report", "進捗レポート")
    return _page(
        desk,
        title,
        (desk.say("Tasks by queue", "キュー別タスク"), desk.rows(_DONE)),
        (desk.say("Who did them", "担当別"), desk.rows(_WHO)),
    )


def quality(desk: Desk) -> Page:
    """Say what failed: tasks, jobs, and what there were alerts about."""
    return _page(
        desk,
        desk.say("Quality report", "品質レポート"),
        (desk.say("Tasks that failed", "失敗したタスク"), desk.rows(_FAILURES)),
        (desk.say("Jobs", "定期ジョブ"), desk.rows(_JOBS)),
        (desk.say("Alerts", "アラート"), desk.rows(_ALERTS)),
    )


def performance(desk: Desk) -> Page:
    """Say how long tasks took and how the workers are."""
    return _page(
        desk,
        desk.say("Performance report", "パフォーマンスレポート"),
        (desk.say("Times by queue (seconds)", "キュー別の時間(秒)"), desk.rows(_SPEED)),
        (desk.say("Workers", "ワーカー"), desk.rows(_WORKERS)),
    )


def tuning(desk: Desk) -> Page:
    """Propose where to look first: what takes the most time, what wears out."""
    return _page(
        desk,
        desk.say("Performance proposals", "パフォーマンス最適化の提案"),
        (desk.say("Where the time goes", "時間の内訳"), desk.rows(_SLOW)),
        (desk.say("What the elves advise", "エルフの助言"), desk.rows(_WORN)),
    )


def dependencies(desk: Desk) -> Page:
    """Propose newer packages, as pip knows them."""
    title = desk.say("Dependency updates", "依存関係の更新")
    return _page(desk, title, *newer(desk.say, patches=False))


def patches(desk: Desk) -> Page:
    """Propose those that change the last number only: fixes, security among them."""
    title = desk.say("Patch updates", "セキュリティパッチ")
    return _page(desk, title, *newer(desk.say, patches=True))


REPORTS: Mapping[str, Callable[[Desk], Page]] = {
    "progress": progress,
    "quality": quality,
    "performance": performance,
    "dependencies": dependencies,
    "patches": patches,
    "tuning": tuning,
}


def _page(desk: Desk, title: str, *parts: tuple[str, list[dict[str, Any]] | str]) -> Page:
    until = desk.query("SELECT max(time) AS until FROM events", [])[0]["until"]
    hours = f"{desk.hours:g}"
    about = desk.say(f"The last {hours} h up to {until} UTC.", f"{until} UTC までの {hours} 時間。")
    lines = [f"# {title}", "", about]
    for heading, found in parts:
        lines += ["", f"## {heading}", ""]
        if isinstance(found, str):
            lines.append(found)
        else:
            lines += _table(found) if found else [desk.say("Nothing.", "なし。")]
    return Page(title, "\n".join(lines) + "\n")


def _table(rows: list[dict[str, Any]]) -> list[str]:
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    lines += [f"| {' | '.join(_cell(row[name]) for name in names)} |" for row in rows]
    return lines


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = " ".join(str(value).split())
    return text.replace("|", "\\|")
