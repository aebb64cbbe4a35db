"""`elf tune`: a better distribution policy from the log, judged on the last day, proposed with its evidence."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from msgspec.structs import replace

from actors.client import Client
from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import HERE, Where, WhereOption
from actors.faces.console.output import note, show_json, show_table
from actors.faces.console.source import LogSource
from actors.faces.console.what_if import choice_of, named
from actors.recorded_work import Recording, recorded
from actors.simulator.scenario import Choice, Scenario
from actors.tuning import POLICIES, Guards, Verdict, confirm, search
from actors.what_if import LEAST, CannotSay, calibrate, enough
from events.analyses import TuningFound, TuningWithdrawn
from events.decisions import Decided, Propose
from events.proposals import ProposalApproved

_DAY_S = 86_400.0
_PROPOSED_S = 60.0


def tune(
    *,
    days: int = 0,
    policy: str = "",
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=(), consume_multiple=False)] = None,
    count: int = 27,
    apply: bool = False,
    anyway: bool = False,
    withdraw: bool = False,
    share: float = 0.2,
    trial_s: float = 3600.0,
    least: int = 50,
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Search for a better distribution of tasks on all days but the last, and judge it on the last one.

    What is accepted becomes a proposal (elf plan, elf approve); exit code 1 when nothing better was found or the last
    day refuses it, 5 when the log does not allow an answer.

    Parameters
    ----------
    days
        Only the last so many days of the log.
    policy
        No search: judge this policy.
    set_
        No search: judge this parameter, as patience=1.5; may be repeated.
    count
        How many candidates begin.
    apply
        Approve the proposal at once: it is tried on a share of the tasks and taken back by itself if it does worse.
    anyway
        Propose it even if the last day refuses it or the log is too short.
    withdraw
        Instead: take back what tuning adopted; the file counts again.
    share
        Share of the tasks that it is tried on.
    trial_s
        For how many seconds at most.
    least
        How many tasks of both groups are needed for a judgement.
    json
        Print {"choice", "in_force", "verdict", "proposed", "approved"}.
    """
    if withdraw:
        return _withdraw(where)
    _check(share, trial_s, least, count, days)
    verdict, choice, in_force, problem = _judged(where, days, policy, set_ or [], count, anyway)
    objections = verdict.objections if verdict else (problem,)
    proposed = approved = None
    if not objections or anyway:
        found = _found(choice, in_force, verdict, objections, share, trial_s, least)
        proposed, approved = asyncio.run(_propose(where, found, apply))
    if json:
        told = {"choice": choice, "in_force": in_force, "verdict": verdict}
        show_json({**msgspec.to_builtins(told), "proposed": proposed, "approved": approved})
    else:
        _show(verdict, choice, objections, proposed, approved)
    return Exit.FINE if proposed else Exit.NO


def _check(share: float, trial_s: float, least: int, count: int, days: int) -> None:
    if not 0.01 <= share <= 0.5:
        raise Failure(f"expected --share between 0.01 and 0.5, got {share:g}; try 0.2")
    if trial_s <= 0 or least < 10:
        raise Failure(
            f"expected --trial-s above 0 and --least of 10 or more, got {trial_s:g} and {least}; try 3600"
        )
    if not 4 <= count <= 500 or days < 0:
        raise Failure(
            f"expected --count from 4 to 500 and --days of 0 or more, got {count} and {days}; try 27"
        )


def _judged(
    where: Where, days: int, policy: str, given: Sequence[str], count: int, anyway: bool
) -> tuple[Verdict | None, Choice, Choice, str]:
    """Return the verdict, or None and why there is none, with the candidate and what is in force."""
    with LogSource(where.place()) as source:
        recording = recorded(source.chunks(0, source.end()))
    in_force = recording.in_force if recording else Choice(policy="pull_best")
    asked = None
    if policy:
        asked = choice_of(policy, given)
        if policy not in POLICIES:
            raise Failure(f"expected a policy that shares agents with another, got {policy}; try pull_best")
    elif given:
        asked = choice_of(in_force.policy, given, in_force.parameters)
    try:
        before, last = halves(enough(recording), days)
        choice = asked or search([before], in_force, count, said=note)
        if choice == in_force:
            raise Failure(f"{named(in_force)} stays: no candidate was better", Exit.NO)
        return confirm([last], choice, in_force, Guards()), choice, in_force, ""
    except CannotSay as problem:
        if not (anyway and asked):
            raise
        return None, asked, in_force, str(problem)


def halves(recording: Recording, days: int = 0) -> tuple[Scenario, Scenario]:
    """Return the work before the last day, and all of it with only the last day judged. Raises CannotSay."""
    problem = calibrate(recording).problem
    if problem:
        raise CannotSay(problem)
    scenario = recording.scenario
    if days:
        scenario = _since(scenario, scenario.horizon - days * _DAY_S)
    split = scenario.horizon - _DAY_S
    before = tuple(job for job in scenario.jobs if job.arrival < split)
    if min(len(before), len(scenario.jobs) - len(before)) < LEAST:
        raise CannotSay(
            f"expected at least {LEAST} tasks on the last day and before it, got"
            f" {len(scenario.jobs) - len(before)} and {len(before)}; try a later day"
        )
    return replace(scenario, jobs=before), replace(scenario, judged_from=split)


def _since(scenario: Scenario, start: float) -> Scenario:
    if start <= 0:
        return scenario
    jobs = tuple(replace(job, arrival=job.arrival - start) for job in scenario.jobs if job.arrival >= start)
    players = tuple(
        replace(one, outages=tuple((max(0.0, a - start), b - start) for a, b in one.outages if b > start))
        for one in scenario.players
    )
    return replace(scenario, jobs=jobs, players=players)


def _found(
    choice: Choice,
    in_force: Choice,
    verdict: Verdict | None,
    objections: Sequence[str],
    share: float,
    trial_s: float,
    least: int,
) -> TuningFound:
    return TuningFound(
        policy=choice.policy,
        parameters=choice.parameters,
        now_policy=in_force.policy,
        now_parameters=in_force.parameters,
        gain=round(verdict.gain, 6) if verdict else 0.0,
        low=round(verdict.low, 6) if verdict else 0.0,
        high=round(verdict.high, 6) if verdict else 0.0,
        p99=round(verdict.candidate.p99, 6) if verdict else 0.0,
        spread=verdict.candidate.spread if verdict else 0.0,
        largest=verdict.candidate.share if verdict else 0.0,
        tasks=verdict.tasks if verdict else 0,
        windows=verdict.windows if verdict else 0,
        objections=tuple(objections),
        share=share,
        trial_s=trial_s,
        least=least,
    )


async def _propose(where: Where, found: TuningFound, approve: bool) -> tuple[str | None, int | None]:
    """Write the finding, wait for the proposal, say yes to it if asked; return its id and the position of the yes."""
    async with await Client.open(where.place(), "operator") as client:
        position = await client.say(found)
        decision = await _proposal(client, position)
        if not approve:
            return decision, None
        yes = ProposalApproved(decision=decision, elf="wisdom", rule="tuning", about="distribution")
        return decision, await client.say(yes, cause=decision)


async def _proposal(client: Client, position: int) -> str:
    """Return the id of the proposal that follows a finding."""
    deadline = time.monotonic() + _PROPOSED_S
    while time.monotonic() < deadline:
        async for chunk in client.read(position, filter="log.*.*.decided.wisdom"):
            for event in chunk:
                body = event.body
                if isinstance(body, Decided) and body.rule == "tuning" and isinstance(body.action, Propose):
                    return event.id
        await asyncio.sleep(0.2)
    raise Failure(
        f"expected a proposal of wisdom within {_PROPOSED_S:g} s, got none; try elf plan later",
        Exit.UNREACHABLE,
    )


def _withdraw(where: Where) -> int:
    async def say() -> int:
        async with await Client.open(where.place(), "operator") as client:
            return await client.say(TuningWithdrawn())

    print(f"the policy of the file counts again (position {asyncio.run(say())})")
    return Exit.FINE


def _show(
    verdict: Verdict | None,
    choice: Choice,
    objections: Sequence[str],
    proposed: str | None,
    approved: int | None,
) -> None:
    if verdict:
        rows: list[list[Any]] = [
            [what, named(one), f"{it.mean:.2f}", f"{it.p99:.2f}", f"{it.spread:.1f} pt", f"{it.share:.1f} %"]
            for what, one, it in (
                ("in force", verdict.in_force, verdict.current),
                ("candidate", verdict.choice, verdict.candidate),
            )
        ]
        headings = ["on the last day", "policy", "mean / FIFO", "p99 / FIFO", "spread", "largest share"]
        show_table(headings, rows, numbers=range(2, len(headings)))
        print(
            f"it saves {verdict.gain:.1%} of the mean response time ({verdict.low:.1%} to {verdict.high:.1%}),"
            f" {verdict.tasks:,} tasks in {verdict.windows} windows of time"
        )
    for text in objections:
        print(f"refused: {text}")
    if proposed and approved:
        print(
            f"{named(choice)}: proposed as {proposed} and approved (position {approved}); elf why distribution"
        )
    elif proposed:
        print(f"{named(choice)}: proposed as {proposed}; elf approve {proposed[:9]}")
