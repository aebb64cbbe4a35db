"""Has jobs run when they are decided, and says what came of them; what a dead node left is ended and said so."""

import logging
import re
import secrets
import signal
import threading
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.doer import Doer, Lead
from actors.feed import Subscription
from actors.job_reports import JobPlan, Kept, publication_of
from actors.job_run import Ending, Run
from actors.processes import Processes
from actors.runtime import Watcher
from actors.snapshots import Snapshots
from events.decisions import Decided, RunJob
from events.envelope import Recorded
from events.event import Event
from events.jobs import JobFinished, JobOutcome
from events.log import entry
from events.outcomes import EffectFailed, EffectStarted, EffectVerified
from projections.errands import OpenRun, Runs

_log = logging.getLogger("elf.foreman")

_TAIL = 2000


class StopJobs(Struct, frozen=True):
    """End every run; `done` is called when none is left."""

    done: Callable[[], object]


class ShowJobs(Struct, frozen=True):
    """Asks how the jobs are; `reply` gets it."""

    reply: Callable[[dict[str, Any]], None]


class _Ended(Struct, frozen=True):
    decision: str
    ending: Ending


class Foreman(Doer[Runs]):
    """One thread for each run. A job that was not seen to end is `interrupted`: it is no failure of what it checks."""

    def __init__(
        self,
        watcher: Watcher,
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
        lead: Lead,
        marker: str,
        processes: Processes,
        plan: Callable[[str, str], JobPlan | None],
    ) -> None:
        """`plan(job, marker)` says how a job is run by the configuration in force."""
        super().__init__("foreman", watcher, subscribe, snapshots, Runs(), lead)
        self._marker = marker
        self._processes = processes
        self._plan = plan
        self._runs: dict[str, tuple[OpenRun, JobPlan, Run]] = {}
        self._stopping: StopJobs | None = None

    def handle(self, message: Any) -> Any:
        """Take events, ends and the order to stop."""
        match message:
            case _Ended(decision=decision, ending=ending):
                self._ended(decision, ending)
            case ShowJobs(reply=reply):
                reply({"ok": True, "jobs": self._rows()})
            case StopJobs():
                self._stopping = message
                for _, _, run in self._runs.values():
                    run.stop()
                self._maybe_done()
            case _:
                return super().handle(message)
        return None

    def end(self) -> None:
        """Leave no process behind: whoever comes next finds these runs open and says so."""
        super().end()
        for _, _, run in self._runs.values():
            run.stop()

    def take_over(self) -> None:
        """What is open was begun by one who is gone."""
        for each in list(self.fold.open.values()):
            self._processes.sweep(f"{self._marker}:job-{each.run.job}:", signal.SIGKILL)
            self._say(each, "", "interrupted", Ending(tail="the node ended while it ran"), None)

    def carry_out(self, event: Recorded) -> None:
        """Begin what is decided."""
        match event.body:
            case Decided(action=RunJob(), mode="act"):
                self._begin(self.fold.open[event.id])
            case _:
                return

    def _begin(self, each: OpenRun) -> None:
        job = each.run.job
        marker = f"{self._marker}:job-{job}:{each.run.due // 1_000_000}:{secrets.token_hex(4)}"
        plan = self._plan(job, marker)
        if plan is None or self._stopping:
            why = "the node ends" if plan else "the configuration in force has no such job"
            self._say(each, "", "interrupted", Ending(tail=why), plan)
            return
        run = Run(plan.order, self._processes)
        self._runs[each.decision] = (each, plan, run)
        self.journal.write(EffectStarted(decision=each.decision, target=job), cause=each.decision)
        thread = threading.Thread(
            target=lambda: self.tell_me(_Ended(each.decision, run.wait())), name=f"elf-job-{job}", daemon=True
        )
        thread.start()

    def _ended(self, decision: str, ending: Ending) -> None:
        each, plan, _ = self._runs.pop(decision)
        outcome: JobOutcome = "done" if ending.code == 0 else "failed"
        if ending.refused:
            outcome = "refused"
        elif ending.timed_out:
            outcome = "timeout"
        elif ending.stopped:
            outcome = "interrupted"
        self._say(each, plan.kind, outcome, ending, plan)
        self._maybe_done()

    def _say(
        self, each: OpenRun, kind: str, outcome: JobOutcome, ending: Ending, plan: JobPlan | None
    ) -> None:
        """Write the end, its effect and what is to be published, all or nothing."""
        job, ok = each.run.job, outcome == "done"
        kept = plan.keep(ending.output, self.clock.now()) if plan and ok else Kept("", "")
        tail = _blacked(ending.tail[-_TAIL:], plan.redact if plan else ())
        if ending.timed_out and plan:
            tail = f"{tail}\nended: it had not ended within {plan.order.timeout_s:g} s".strip()
        finished = JobFinished(
            job=job,
            decision=each.decision,
            kind=kind,
            ok=ok,
            outcome=outcome,
            code=ending.code,
            signal=ending.signal,
            took_ms=ending.took_ms,
            tail=tail,
            report=kept.path,
            to=plan.to if plan and ok else (),
        )
        effect: EffectVerified | EffectFailed
        if ok:
            effect = EffectVerified(decision=each.decision, target=job, detail=f"took {ending.took_ms} ms")
        else:
            effect = EffectFailed(decision=each.decision, target=job, error=f"{outcome}: {tail[-300:]}")
        said: list[tuple[str, Event]] = [(f"job-{each.decision}", finished), (f"ran-{each.decision}", effect)]
        if plan and ok and "github" in plan.to:
            said.append((f"pub-{each.decision}", publication_of(plan, kept, each)))
        self.journal.append(
            [entry(self.journal.envelope(body, id=name, cause=each.decision)) for name, body in said]
        )

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {
                "name": job.name,
                "every": job.every,
                "kind": job.kind,
                "zone": job.zone.name,
                "running": bool(job.running),
                "last": job.outcome,
                "ended": job.ended / 1e6 if job.ended else None,
                "took_ms": job.took_ms,
                "failures": job.failures,
                "tail": job.tail,
                "next": job.due / 1e6,
            }
            for _, job in sorted(self.fold.jobs.items.items())
        ]

    def _maybe_done(self) -> None:
        if self._stopping and not self._runs:
            order, self._stopping = self._stopping, StopJobs(lambda: None)
            order.done()


def _blacked(text: str, patterns: tuple[re.Pattern[str], ...]) -> str:
    for pattern in patterns:
        text = pattern.sub("█", text)
    return text
