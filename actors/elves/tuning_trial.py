"""The Wisdom elf's rule `tuning`: a better distribution policy is proposed, tried on a share of the tasks, kept or not.

Both groups of a trial are the tasks that came since it began, told apart by a hash. What counts is the mean time that a
task has been there, until its end or until now: by Little's law the better order has the smaller mean, whatever it has
finished so far. A candidate that is clearly worse is taken back before its time.
"""

from collections.abc import Iterable, Iterator
from math import sqrt

from msgspec import Struct, field

from actors.elves import Draft, View
from events.analyses import TuningFound, TuningWithdrawn
from events.decisions import AdoptDistribution, Decided, Propose
from events.envelope import Recorded
from events.proposals import ProposalApproved, ProposalRejected
from events.settings import CanarySettings
from events.tasks import TaskEvent, TaskFailed, TaskFinished, TaskSubmitted
from projections.canaries import is_tried
from projections.dispatch import Dispatch
from projections.units import SECOND

TARGET = "distribution"
TUNING_COST = 10
# A proposal of tuning stands for a week.
STANDS_US = 7 * 86_400 * SECOND
# Clearly worse: the mean by so much and by so many standard errors, or errors by so many points.
WORSE, CERTAIN, MORE_ERRORS = 1.2, 3.0, 0.05
# Kept is what is not worse than this.
AS_GOOD = 1.05


class Group(Struct):
    """One side of a trial. Sums over tasks that ended, in seconds; attempts that ended, and those that failed."""

    done: int = 0
    total_s: float = 0.0
    squares: float = 0.0
    ends: int = 0
    errors: int = 0
    open: dict[str, int] = field(default_factory=dict)

    def measure(self, now: int) -> "Measure":
        """Return the figures as of now: what is open counts with its age."""
        ages = [(now - at) / SECOND for at in self.open.values()]
        count = self.done + len(ages)
        if not count:
            return Measure(0, 0.0, 0.0, 0.0)
        mean = (self.total_s + sum(ages)) / count
        spread = max(0.0, (self.squares + sum(age * age for age in ages)) / count - mean * mean)
        return Measure(count, mean, sqrt(spread / count), self.errors / self.ends if self.ends else 0.0)


class Measure(Struct, frozen=True):
    """A group's tasks, their mean time there in seconds, its standard error, the share of attempts that failed."""

    tasks: int
    mean_s: float
    error_s: float
    errors: float


class Trial(Struct):
    """A candidate under trial since `since`, and the tasks of either side."""

    canary: CanarySettings
    since: int
    tried: Group = field(default_factory=Group)
    rest: Group = field(default_factory=Group)


class Offer(Struct):
    """What a person found by tuning, or had proposed: the event and what it said."""

    event: str
    found: TuningFound


class TrialState(Struct):
    """What is to be proposed, what was, what a person approved, and the trial under way."""

    found: list[Offer] = field(default_factory=list)
    offered: dict[str, Offer] = field(default_factory=dict)
    approved: Offer | None = None
    withdrawn: str | None = None
    trial: Trial | None = None


def touches(event: Recorded) -> bool:
    """Tell whether an event begins something here: until then nothing is kept."""
    return isinstance(event.body, TuningFound | TuningWithdrawn)


def fold(state: TrialState, event: Recorded, view: View, dispatch: Dispatch) -> None:
    """Take one event; `dispatch` has taken it already."""
    now, body = view.timeline.now, event.body
    by_person = event.source.startswith("operator.")
    match body:
        case TuningFound() if by_person:
            state.found = [Offer(event.id, body)]
        case TuningWithdrawn(reason=reason) if by_person:
            state.withdrawn = reason
        case ProposalApproved(decision=decision) if by_person and decision in state.offered:
            state.approved = state.offered.pop(decision)
        case ProposalRejected(decision=decision) if by_person:
            state.offered.pop(decision, None)
        case Decided(elf="wisdom", rule="tuning", epoch=epoch) if epoch == view.timeline.epoch:
            _own(state, event.id, body)
        case _:
            pass
    canary = view.settings.distribution.canary
    if not canary:
        state.trial = None
    elif state.trial is None or state.trial.canary != canary:
        state.trial = Trial(canary, now)
    if state.trial and isinstance(body, TaskEvent):
        _task(state.trial, body, now, dispatch)


def _own(state: TrialState, id: str, decided: Decided) -> None:
    match decided.action:
        case Propose() if state.found:
            state.offered = {id: state.found.pop()}
        case AdoptDistribution(step="canary") if decided.mode == "act":
            state.approved = None
        case AdoptDistribution(step="withdraw") if decided.mode == "act":
            state.withdrawn = None
        case _:
            return


def _task(trial: Trial, body: TaskEvent, now: int, dispatch: Dispatch) -> None:
    key = f"{body.queue}/{body.task}"
    group = trial.tried if is_tried(trial.canary, key) else trial.rest
    there = dispatch.tasks.get(key)
    if isinstance(body, TaskSubmitted):
        if there is not None:
            group.open[key] = now
        return
    if key not in group.open:
        return
    if isinstance(body, TaskFailed | TaskFinished) and (there is None or there.claim == 0):
        group.ends += 1
        group.errors += isinstance(body, TaskFailed)
    if there is None:
        took = (now - group.open.pop(key)) / SECOND
        group.done += 1
        group.total_s += took
        group.squares += took * took


def decide(state: TrialState, view: View) -> Iterable[Draft]:
    """Propose, begin, end: whatever is to be done now."""
    for offer in state.found:
        yield _proposal(offer, view)
    if view.standing.busy(TARGET):
        return
    if state.withdrawn is not None:
        yield _withdraw(state.withdrawn)
    elif state.approved and not state.trial:
        yield _begin(state.approved, view)
    elif state.trial:
        yield from _judge(state.trial, view)


def _proposal(offer: Offer, view: View) -> Draft:
    it = offer.found
    name, now = named(it.policy, it.parameters), named(it.now_policy, it.now_parameters)
    claim = f"{name} gives out tasks with a mean response time {it.gain:.0%} shorter than {now}"
    against = "; ".join(it.objections)
    return Draft(
        rule="tuning",
        target=TARGET,
        action=Propose(
            claim=claim if not against else f"{name} is to be tried although the check refused it: {against}",
            sql="SELECT * FROM assignments ORDER BY seq DESC LIMIT 100",
            gain="share of the mean response time, on days that the search had not seen",
            low=it.low,
            high=it.high,
            n=it.tasks,
            risk=f"p99 {it.p99:.2f} times that of pull_fifo, spread {it.spread:.1f} points; tried on"
            f" {it.share:.0%} of the tasks first",
            rollback="by itself when its tasks do worse than the others; elf tune --withdraw",
            expires=view.timeline.now + STANDS_US,
            change={
                "what": "policy.distribution",
                "key": it.policy,
                "now": {"policy": it.now_policy, "parameters": it.now_parameters},
                "to": {"policy": it.policy, "parameters": it.parameters},
            },
        ),
        reason="tuned" if not against else "asked",
        text=claim if not against else f"{name} is to be tried although the check refused it",
        inputs={
            "found": offer.event,
            "gain": it.gain,
            "low": it.low,
            "high": it.high,
            "tasks": it.tasks,
            "windows": it.windows,
            "objections": list(it.objections),
        },
        cost=1,
    )


def _begin(offer: Offer, view: View) -> Draft:
    it = offer.found
    name = named(it.policy, it.parameters)
    return Draft(
        rule="tuning",
        target=TARGET,
        action=AdoptDistribution(
            step="canary",
            policy=it.policy,
            parameters=it.parameters,
            share=it.share,
            until=view.timeline.now + round(it.trial_s * SECOND),
            least=it.least,
        ),
        reason="approved",
        text=f"{name} is tried on {it.share:.0%} of the tasks, as approved",
        inputs={"found": offer.event, "share": it.share, "trial_s": it.trial_s},
        cost=TUNING_COST,
    )


def _withdraw(reason: str) -> Draft:
    return Draft(
        rule="tuning",
        target=TARGET,
        action=AdoptDistribution(step="withdraw"),
        reason="withdrawn",
        text="the policy of the file counts again" + (f": {reason}" if reason else ""),
        inputs={},
    )


def _judge(trial: Trial, view: View) -> Iterator[Draft]:
    """Take a candidate back that is clearly worse; at the end of its time keep it if it is as good."""
    now, canary = view.timeline.now, trial.canary
    tried, rest = trial.tried.measure(now), trial.rest.measure(now)
    enough = min(tried.tasks, rest.tasks) >= canary.least
    times = tried.mean_s / rest.mean_s if rest.mean_s else 0.0
    certain = (tried.mean_s - rest.mean_s) / (sqrt(tried.error_s**2 + rest.error_s**2) or 1e-9)
    over = now >= canary.until
    why = ""
    if enough and times >= WORSE and certain >= CERTAIN:
        why = "slower"
    elif enough and tried.errors > rest.errors + MORE_ERRORS:
        why = "more_errors"
    elif over and not enough:
        why = "not_enough"
    elif over and times > AS_GOOD:
        why = "not_as_good"
    elif not over:
        return
    said = (
        f"{tried.tasks} of its tasks took {tried.mean_s:.3g} s in the mean, {rest.tasks} others {rest.mean_s:.3g} s;"
        f" {tried.errors:.0%} and {rest.errors:.0%} of the attempts failed"
    )
    name = named(canary.policy, canary.parameters)
    yield Draft(
        rule="tuning",
        target=TARGET,
        action=AdoptDistribution(
            step="rollback" if why else "keep", policy=canary.policy, parameters=canary.parameters
        ),
        reason=why or "as_good",
        text=f"{name} is taken back: {said}" if why else f"{name} is kept for all tasks: {said}",
        inputs={
            "tried": tried.tasks,
            "tried_mean_s": round(tried.mean_s, 6),
            "tried_errors": round(tried.errors, 6),
            "rest": rest.tasks,
            "rest_mean_s": round(rest.mean_s, 6),
            "rest_errors": round(rest.errors, 6),
            "times": round(times, 6),
            "standard_errors": round(certain, 6),
            "since": trial.since,
            "until": canary.until,
        },
    )


def named(policy: str, parameters: dict[str, float]) -> str:
    """Write a policy with its own parameters on one line."""
    own = ", ".join(f"{name} {value:g}" for name, value in sorted(parameters.items()))
    return f"{policy} ({own})" if own else policy
