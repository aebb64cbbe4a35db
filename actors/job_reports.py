"""How a job is run by the configuration in force, where its report is kept, and what is published of it."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from actors.config import Forest, expand
from actors.config_errands import Job
from actors.job_run import Order
from actors.units import clean_environment
from events.jobs import PublicationRequested
from projections.errands import OpenRun

# A body on the other side may have 65,536 characters, an event a few hundred kilobytes.
BODY_LIMIT = 60_000
_FILES_LIMIT = 200_000
# So many reports of a job stay.
_KEPT = 100


class Kept(Struct, frozen=True):
    """A report: its text and the file that holds it."""

    path: str
    text: str


class JobPlan(Struct, frozen=True, kw_only=True):
    """One job as the configuration in force has it."""

    name: str
    kind: str
    order: Order
    to: tuple[str, ...]
    keep: Callable[[str, int], Kept]
    redact: tuple[re.Pattern[str], ...] = ()
    zone: str = "UTC"


def plan_of(forest: Forest, name: str, marker: str, data: Path, environ: Mapping[str, str]) -> JobPlan | None:
    """Return how to run a job, None where the file has none of that name."""
    job = next((each for each in forest.jobs if each.name == name), None)
    if job is None:
        return None
    zone = job.zone or forest.node.timezone
    own = {key: expand(value, environ) for key, value in job.env.items()}
    order = Order(
        argv=job.command,
        cwd=job.cwd,
        env={**clean_environment(zone, environ), "ELF_DATA": str(data), **own},
        marker=marker,
        timeout_s=job.timeout_s,
    )
    return JobPlan(
        name=name,
        kind=job.kind,
        order=order,
        to=job.to,
        keep=lambda output, now: _keep(job, output, now, data / "reports", zone),
        redact=tuple(re.compile(pattern) for pattern in forest.log.redact),
        zone=zone,
    )


def _keep(job: Job, output: str, now: int, folder: Path, zone: str) -> Kept:
    """Write a report's text to a file of its own; nothing for a job that reports to nobody."""
    if not output.strip() or not (job.kind == "report" or job.to):
        return Kept("", output)
    stamp = datetime.fromtimestamp(now / 1e6, ZoneInfo(zone)).strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{job.name}-{stamp}.md"
    temporary = path.with_suffix(".new")
    temporary.write_text(output, encoding="utf-8")
    temporary.replace(path)
    for old in sorted(folder.glob(f"{job.name}-[0-9]*.md"))[:-_KEPT]:
        old.unlink(missing_ok=True)
    return Kept(str(path), output)


def publication_of(plan: JobPlan, kept: Kept, each: OpenRun) -> PublicationRequested:
    """Return the issue of a report, the pull request of maintenance.

    Maintenance may print `{"title", "body", "files": {path: text}}`; of plain text a file under `proposals/` is made.
    """
    pull = plan.kind == "maintenance"
    said = _object(kept.text) if pull else {}
    text = str(said.get("body") or kept.text)
    title = str(said.get("title") or _headline(text) or plan.name)
    day = datetime.fromtimestamp(each.run.due / 1e6, ZoneInfo(plan.zone)).date().isoformat()
    files = said.get("files")
    changed = {str(path): str(body) for path, body in files.items()} if isinstance(files, dict) else {}
    if pull and (not changed or sum(map(len, changed.values())) > _FILES_LIMIT):
        changed = {f"proposals/{plan.name}-{day}.md": text[:_FILES_LIMIT]}
    return PublicationRequested(
        key=f"{plan.name}-{each.run.due // 1_000_000}",
        kind="pull" if pull else "issue",
        title=f"{title} ({day})"[:200],
        body=text if len(text) <= BODY_LIMIT else f"{text[:BODY_LIMIT]}\n\n(cut)",
        job=plan.name,
        files=changed,
    )


def _object(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _headline(text: str) -> str:
    found = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else ""
