"""The Time elf runs jobs by the clock and says louder, failure by failure, what goes wrong with them."""

from collections.abc import Iterable
from typing import Any

from actors.elves import Draft, View
from events.decisions import AnyAction, ClearAlert, Escalate, RaiseAlert, RunJob
from projections.jobs import CAUSE, Job, Jobs

# First an alert, then a critical one, then people are called; further calls at twice as many failures each.
CRITICAL, CALLED = 2, 3
ALERT_COST = 1


def due_jobs(jobs: Jobs, view: View) -> Iterable[Draft]:
    """Draft the runs that are due; what fell into a run that lasted is run once, right after it."""
    now = view.timeline.now
    for name in sorted(jobs.items):
        job = jobs.items[name]
        if job.due > now or view.standing.busy(name):
            continue
        due, late = jobs.late_due(job, now)
        yield Draft(
            rule="job",
            target=name,
            action=RunJob(job=name, due=due, late_s=late),
            reason="late" if late else "due",
            text=f"{name} is due ({job.every}{f', {late} s late' if late else ''})",
            inputs={"every": job.every, "zone": job.zone.name, "due": due, "since": job.since},
        )


def escalations(jobs: Jobs, view: View) -> Iterable[Draft]:
    """Draft what people should hear of failures in a row, and that they are over."""
    for name in sorted(jobs.items):
        job = jobs.items[name]
        alert = view.alerts.find(CAUSE, name)
        if not job.escalate:
            continue
        if alert and not job.failures:
            yield _draft(job, ClearAlert(cause=CAUSE), "works_again", f"job {name} works again")
        elif job.failures > job.said:
            action = _louder(job)
            if action is not None:
                times = "" if job.failures == 1 else f", {job.failures} times in a row"
                text = f"job {name} {_ending(job)}{times}: {job.tail.strip()[-200:] or 'it said nothing'}"
                yield _draft(job, action, job.outcome, text, ALERT_COST)


def _louder(job: Job) -> AnyAction | None:
    if job.failures < CRITICAL:
        return RaiseAlert(cause=CAUSE, severity="warning")
    if job.failures < CALLED:
        return RaiseAlert(cause=CAUSE, severity="critical", again=True)
    if job.said < CALLED or job.failures >= 2 * job.said:
        return Escalate(cause=CAUSE, times=job.failures)
    return None


def _ending(job: Job) -> str:
    endings = {"failed": "failed", "timeout": "did not end in time", "refused": "could not be started"}
    return endings.get(job.outcome, job.outcome)


def _draft(job: Job, action: AnyAction, reason: str, text: str, cost: int = 0) -> Draft:
    facts: dict[str, Any] = {
        "failures": job.failures,
        "said": job.said,
        "outcome": job.outcome,
        "took_ms": job.took_ms,
    }
    return Draft(
        rule="job_failure",
        target=job.name,
        action=action,
        reason=reason,
        text=text,
        inputs=facts,
        cost=cost,
    )
