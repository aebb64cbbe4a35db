"""The Wisdom elf's proposals: once a day the log is asked what it teaches, and people are asked whether to do it.

Rules `weekly_pattern`, `error_condition`, `timeout`, `size`, `memory_limit` and `order`, those of `rule_lessons`; of
each and for each queue, pool or rule at most one proposal is open. Where too little is known that is said once, with
what is missing.
"""

from collections.abc import Iterable, Iterator

from msgspec import UNSET, Struct, UnsetType, field

from actors.elves import Draft, View, rule_lessons
from actors.elves.learning import conditions, memory, timeout
from actors.elves.lessons import Lesson, Missing, sql
from actors.elves.weekly import LEAST_WEEKS, Pattern, patterns, weeks_of
from actors.elves.work_runs import order, sizes
from events.decisions import Abstain, Decided, Propose
from events.envelope import Recorded
from events.observations import Sampled
from events.proposals import ProposalApproved, ProposalRejected
from events.tasks import OF_TASKS
from events.zones import Zone
from projections.hours import Hours, slot_of, zone_of
from projections.peaks import Peak, Peaks
from projections.queues import Queues
from projections.units import Units
from projections.workbook import DAY_US, Workbook
from projections.yields import Yields

PROPOSAL_COST = 1
# A proposal stands for a week; what people answered is not asked again for a month.
STANDS_US = 7 * DAY_US
ANSWERED_US = 30 * DAY_US


class Ready(Struct):
    """A lesson to be proposed, or what is missing for one."""

    rule: str
    target: str
    lesson: Lesson | None = None
    missing: Missing | None = None


class ProposingState(Struct):
    """What lessons are drawn from, what is ready to be said, and until when something is not said again."""

    units: Units
    queues: Queues
    hours: Hours
    workbook: Workbook
    yields: Yields
    looked_at: int = 0
    ready: list[Ready] = field(default_factory=list)
    quiet: dict[str, int] = {}
    silent: list[str] = field(default_factory=list)
    offered: dict[str, str] = {}
    rules: rule_lessons.RulesState | UnsetType = UNSET
    peaks: Peaks = field(default_factory=Peaks)


def blank() -> ProposingState:
    """Return the state before the first event."""
    return ProposingState(Units(), Queues(), Hours(), Workbook(), Yields())


def fold(state: ProposingState, event: Recorded, view: View) -> None:
    """Take one event."""
    now, settings, body = view.timeline.now, view.settings, event.body
    state.hours.apply(event, now, settings)
    if type(body) in OF_TASKS:
        # Most of the log: units and queues matter here only for how many there are and whether work waits.
        state.workbook.apply(event, now, state.units, settings)
        state.yields.apply(event, now, state.units, state.queues, settings)
        return
    if not state.rules and rule_lessons.begins(event):
        state.rules = rule_lessons.RulesState()
    if state.rules:
        rule_lessons.fold(state.rules, event, view)
    state.units.apply(event, now, settings)
    state.queues.apply(event, now, settings)
    state.peaks.apply(event, now, state.units, settings)
    state.yields.apply(event, now, state.units, state.queues, settings)
    match body:
        case Sampled():
            if not state.looked_at:
                state.looked_at = now
            elif now - state.looked_at >= settings.limits.learn_s * 1e6:
                state.looked_at = now
                state.ready = list(_lessons(state, view))
        case Decided(elf="wisdom", epoch=epoch) if epoch == view.timeline.epoch:
            _said(state, event.id, body)
        case ProposalApproved(decision=decision) | ProposalRejected(decision=decision):
            key = state.offered.pop(decision, "")
            if key and event.source.startswith("operator."):
                state.quiet[key] = now + ANSWERED_US
        case _:
            return


def _said(state: ProposingState, decision: str, decided: Decided) -> None:
    """Take in what this elf itself said."""
    key = f"{decided.rule}/{decided.target}"
    match decided.action:
        case Propose(expires=expires):
            state.quiet[key] = expires
            state.offered[decision] = key
            while len(state.offered) > 100:
                del state.offered[next(iter(state.offered))]
            if key in state.silent:
                state.silent.remove(key)
        case Abstain(about=about) if about == decided.rule:
            state.silent.append(key)
        case _:
            return
    state.ready = [item for item in state.ready if f"{item.rule}/{item.target}" != key]


def _lessons(state: ProposingState, view: View) -> Iterator[Ready]:
    """Return all that may be said now."""
    now = view.timeline.now
    for item in _drawn(state, view):
        key = f"{item.rule}/{item.target}"
        told = key in state.silent if item.missing else state.quiet.get(key, 0) > now
        if not told:
            yield item


def _drawn(state: ProposingState, view: View) -> Iterator[Ready]:
    yield from _weekly(state, view)
    if state.rules:
        for rule, target, lesson in rule_lessons.lessons(state.rules, view):
            yield Ready(rule, target, lesson)
    servers = {queue.name: 0 for queue in view.settings.queues if queue.serve == "pull"}
    for worker in view.settings.workers:
        if worker.queue in servers:
            servers[worker.queue] += max(1, len(worker.units)) * worker.slots
        pool = state.yields.pools.get(worker.name)
        if worker.queue and pool:
            found = sizes(worker.name, list(pool.setups.values()), pool.setups.get(pool.now))
            yield from _best("size", worker.name, found)
        peak = state.peaks.pools.get(worker.name, Peak())
        yield from _best("memory_limit", worker.name, memory(worker.name, peak, worker.memory_limit))
    for queue in view.settings.queues:
        book = state.workbook.books.get(queue.name)
        if book is None:
            continue
        yield from _best("error_condition", queue.name, conditions(queue.name, book))
        days = (view.timeline.now - book.since) / DAY_US
        yield from _best("timeout", queue.name, timeout(queue.name, book, queue.timeout_s, days))
        if servers.get(queue.name):
            yield from _best("order", queue.name, order(queue.name, book.recent, servers[queue.name]))


def _best(rule: str, target: str, found: list[Lesson] | Lesson | Missing | None) -> Iterator[Ready]:
    """Return the strongest lesson, or what is missing."""
    if isinstance(found, Missing):
        yield Ready(rule, target, missing=found)
    elif isinstance(found, Lesson):
        yield Ready(rule, target, found)
    elif found:
        yield Ready(rule, target, max(found, key=lambda item: (item.low, item.key)))


def _weekly(state: ProposingState, view: View) -> Iterator[Ready]:
    claimed: dict[str, Pattern] = {}
    for item in patterns(state.hours.arrivals):
        known = claimed.get(item.key)
        if known is None or item.low > known.low:
            claimed[item.key] = item
    now = view.timeline.now
    offset = slot_of(now, zone_of(view.settings)) - slot_of(now, Zone())
    for key, bins in state.hours.arrivals.items():
        target = key.rstrip("/")
        if key in claimed:
            yield Ready("weekly_pattern", target, _weekly_lesson(claimed[key], target, offset))
        elif weeks_of(bins) < LEAST_WEEKS:
            yield Ready("weekly_pattern", target, missing=Missing(weeks_of(bins), LEAST_WEEKS, "whole weeks"))


def _weekly_lesson(item: Pattern, target: str, hours: int) -> Lesson:
    queue, _, kind = target.partition("/")
    return Lesson(
        key=item.when,
        claim=f"{target} gets {item.ratio:.2f} times as many tasks on {item.when} as on other such days",
        gain="workers can be there before the work is: a higher min, or a reminder to prepare",
        low=item.low,
        high=item.high,
        n=item.n,
        sql=sql(
            "SELECT dayname(submitted + INTERVAL $hours HOUR) AS day, count(*) AS tasks FROM tasks"
            " WHERE queue = $queue AND coalesce(type, '') = $kind"
            " AND hour(submitted + INTERVAL $hours HOUR) BETWEEN $start AND $last"
            " GROUP BY day ORDER BY tasks DESC",
            hours=hours % 24,
            start=item.start,
            last=item.end - 1,
            queue=queue,
            kind=kind,
        ),
        risk="a day off or a campaign may have made it",
        rollback="set min as it was",
        change={"what": f"[[worker]] of {queue}", "key": "min", "to": f"more on {item.when}"},
    )


def decide(state: ProposingState, view: View) -> Iterable[Draft]:
    """Say what is ready."""
    for item in state.ready:
        if item.lesson:
            yield _proposal(item, item.lesson, view)
        elif item.missing:
            yield _missing(item, item.missing)


def _proposal(item: Ready, lesson: Lesson, view: View) -> Draft:
    return Draft(
        rule=item.rule,
        target=item.target,
        action=Propose(
            claim=lesson.claim,
            sql=lesson.sql,
            gain=lesson.gain,
            low=lesson.low,
            high=lesson.high,
            n=lesson.n,
            risk=lesson.risk,
            rollback=lesson.rollback,
            expires=view.timeline.now + STANDS_US,
            change=lesson.change,
        ),
        reason="learnt",
        text=f"{lesson.claim}: {lesson.gain}",
        inputs={"lesson": lesson.key, "n": lesson.n, "low": lesson.low, "high": lesson.high},
        cost=PROPOSAL_COST,
    )


def _missing(item: Ready, missing: Missing) -> Draft:
    more = missing.need - missing.have
    return Draft(
        rule=item.rule,
        target=item.target,
        action=Abstain(about=item.rule),
        reason="not_enough",
        text=f"{item.rule} of {item.target}: not enough data, {missing.have} {missing.what}, {more} more needed",
        inputs={"have": missing.have, "need": missing.need},
    )
