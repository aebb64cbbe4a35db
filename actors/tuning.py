"""Tuning: candidates compete on more and more of the recorded work, the winner is judged on work that none has seen.

Successive halving over the policies and their parameters; every figure is relative to `pull_fifo` on the same work.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from actors.elves.distribution import PARAMETERS, Parameter
from actors.simulator.report import Result, responses_of, result_of
from actors.simulator.scenario import Choice, Scenario
from actors.what_if import play

FIFO = Choice(policy="pull_fifo")
POLICIES = ("pull_best", "pull_fair", "pull_fifo")
"""Policies whose agents take work when they are free: only these can share agents with another one for a trial."""

_RUNGS = 3
_KEEP = 3
_BOOTSTRAP = 400
_WINDOWS = 24
_LEAST_WINDOWS = 8


class Guards(Struct, frozen=True, kw_only=True):
    """What a candidate must keep: its p99 at most so many times that of `pull_fifo`, spread (points), share (percent).

    A spread or share that the policy in force exceeds itself may not get worse. `gain` is the least improvement of the
    mean against the policy in force. While searching p99 must keep `margin` more distance.
    """

    p99: float = 1.45
    spread: float = 20.0
    share: float = 50.0
    gain: float = 0.05
    margin: float = 0.9


class Standard(Struct, frozen=True, kw_only=True):
    """What counts: geometric means over scenes relative to `pull_fifo`, the worst spread, the largest share."""

    mean: float
    p99: float
    spread: float
    share: float


class Verdict(Struct, frozen=True, kw_only=True):
    """A candidate against the policy in force on held-out work.

    `gain` is the share of the mean response time that it saves, `low` to `high` its 95 % interval over `windows` of
    time in which both are compared. `objections` say why not; empty: accepted.
    """

    choice: Choice
    in_force: Choice
    candidate: Standard
    current: Standard
    gain: float
    low: float
    high: float
    tasks: int
    windows: int
    objections: tuple[str, ...] = ()


def candidates(count: int, in_force: Choice, seed: int = 1) -> list[Choice]:
    """Return so many choices: the one in force, every policy as it is, and parameters by chance within their ranges."""
    chance = random.Random(seed)
    found = [in_force, *(Choice(policy=name) for name in POLICIES)]
    tunable = [name for name in POLICIES if PARAMETERS[name]]
    while len(found) < count:
        policy = tunable[len(found) % len(tunable)]
        drawn = {item.name: _drawn(item, chance) for item in PARAMETERS[policy] if chance.random() < 0.5}
        found.append(Choice(policy=policy, parameters={k: v for k, v in drawn.items() if v is not None}))
    return _distinct(found)[:count]


def _drawn(item: Parameter, chance: random.Random) -> float | None:
    """Return a value: a switch by a coin, else up to ten times less or more than its default, within the range."""
    if (item.low, item.high) == (0, 1) and item.default in (0, 1):
        return None if item.name == "prefetch" else float(chance.random() < 0.5)
    middle = item.default or (item.low + item.high) / 20
    value = min(item.high, max(item.low, middle * 10 ** chance.uniform(-1.0, 1.0)))
    return float(f"{value:.3g}")


def _distinct(choices: Iterable[Choice]) -> list[Choice]:
    found: list[Choice] = []
    for choice in choices:
        if choice not in found:
            found.append(choice)
    return found


def search(
    scenes: Sequence[Scenario],
    in_force: Choice,
    count: int = 27,
    guards: Guards = Guards(),  # noqa: B008 - a frozen struct
    seed: int = 1,
    said: Callable[[str], None] = lambda _: None,
) -> Choice:
    """Return the best candidate on these scenes by successive halving; the one in force if none keeps the guards."""
    left = candidates(count, in_force, seed)
    for rung in range(_RUNGS):
        part = _KEEP ** (_RUNGS - 1 - rung)
        pieces = [last_part(scene, part) for scene in scenes]
        fifo = [measured(piece, FIFO) for piece in pieces]
        current = standard([measured(piece, in_force) for piece in pieces], fifo)
        ranked = []
        for number, choice in enumerate(left):
            it = standard([measured(piece, choice) for piece in pieces], fifo)
            ranked.append((bool(broken(it, current, guards, guards.margin)), it.mean, number, choice))
        ranked.sort(key=lambda item: item[:3])
        said(
            f"{len(left)} candidates on 1/{part} of the work, the best {ranked[0][1]:.2f} of pull_fifo's mean"
        )
        left = [choice for *_, choice in ranked[: max(1, len(left) // _KEEP)]]
        if rung == _RUNGS - 1 and ranked[0][0]:
            return in_force
    return left[0]


def last_part(scene: Scenario, part: int) -> Scenario:
    """Return the last one of so many parts of a scene's tasks."""
    if part <= 1:
        return scene
    jobs = scene.jobs[-max(1, len(scene.jobs) // part) :]
    start = jobs[0].arrival
    players = tuple(
        replace(
            player,
            outages=tuple((max(0.0, a - start), b - start) for a, b in player.outages if b > start),
        )
        for player in scene.players
    )
    moved = tuple(replace(job, arrival=job.arrival - start) for job in jobs)
    return replace(scene, jobs=moved, players=players, judged_from=max(0.0, scene.judged_from - start))


def measured(scene: Scenario, choice: Choice) -> Result:
    """Play a scene."""
    return result_of(scene, choice, play(scene, choice), 0.0)


def standard(results: Sequence[Result], fifo: Sequence[Result]) -> Standard:
    """Measure by `pull_fifo` on the same scenes."""
    pairs = list(zip(results, fifo, strict=True))
    return Standard(
        mean=_geometric([max(1e-9, one.mean) / max(1e-9, base.mean) for one, base in pairs]),
        p99=_geometric([max(1e-9, one.p99) / max(1e-9, base.p99) for one, base in pairs]),
        spread=max(one.spread for one in results),
        share=max(one.share for one in results),
    )


def broken(it: Standard, current: Standard, guards: Guards, margin: float = 1.0) -> list[str]:
    """Return which guards a candidate breaks."""
    found = []
    p99 = max(1.0, guards.p99 * margin)
    spread, share = max(guards.spread, current.spread), max(guards.share, current.share)
    if it.p99 > p99:
        found.append(f"p99 {it.p99:.2f} times that of pull_fifo, at most {p99:.2f}")
    if it.spread > spread:
        found.append(f"spread {it.spread:.1f} points, at most {spread:.1f}")
    if it.share > share:
        found.append(f"largest share {it.share:.1f} %, at most {share:.1f} %")
    return found


def confirm(
    scenes: Sequence[Scenario],
    choice: Choice,
    in_force: Choice,
    guards: Guards = Guards(),  # noqa: B008 - a frozen struct
) -> Verdict:
    """Judge a candidate on held-out scenes against the policy in force, window by window of the same time."""
    results: dict[str, list[Result]] = {"fifo": [], "old": [], "new": []}
    windows: list[tuple[float, float]] = []
    tasks = 0
    for scene in scenes:
        times = {}
        for name, one in (("fifo", FIFO), ("old", in_force), ("new", choice)):
            tally = play(scene, one)
            results[name].append(result_of(scene, one, tally, 0.0))
            times[name] = responses_of(scene, tally)
        tasks += sum(not math.isnan(time) for time in times["old"])
        unit = max(1e-9, results["fifo"][-1].mean)
        windows += [(a / unit, b / unit) for a, b in _paired(scene, times["old"], times["new"])]
    candidate = standard(results["new"], results["fifo"])
    current = standard(results["old"], results["fifo"])
    gain = 1.0 - candidate.mean / current.mean
    low, high = _interval(windows)
    objections = broken(candidate, current, guards)
    if len(windows) < _LEAST_WINDOWS:
        objections.append(f"{len(windows)} windows of time to compare in, at least {_LEAST_WINDOWS}")
    if gain < guards.gain:
        objections.append(f"the mean improves by {gain:.1%}, at least {guards.gain:.0%}")
    elif low <= 0.0:
        objections.append(f"the improvement is not certain: {low:.1%} to {high:.1%}")
    return Verdict(
        choice=choice,
        in_force=in_force,
        candidate=candidate,
        current=current,
        gain=gain,
        low=low,
        high=high,
        tasks=tasks,
        windows=len(windows),
        objections=tuple(objections),
    )


def _paired(scene: Scenario, old: Sequence[float], new: Sequence[float]) -> list[tuple[float, float]]:
    """Return the sums of both response times in each window of arrivals; what did not end under both is left out."""
    start, span = scene.judged_from, max(1e-9, scene.horizon - scene.judged_from)
    sums: dict[int, tuple[float, float]] = {}
    for job, before, after in zip(scene.jobs, old, new, strict=True):
        if math.isnan(before) or math.isnan(after):
            continue
        window = min(_WINDOWS - 1, int((job.arrival - start) / span * _WINDOWS))
        known = sums.get(window, (0.0, 0.0))
        sums[window] = (known[0] + before, known[1] + after)
    return list(sums.values())


def _interval(windows: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the 95 % interval of the share saved, by drawing windows anew (bootstrap, percentiles)."""
    if not windows:
        return 0.0, 0.0
    chance = random.Random(1)
    drawn = []
    for _ in range(_BOOTSTRAP):
        picked = [windows[chance.randrange(len(windows))] for _ in windows]
        drawn.append(1.0 - sum(new for _, new in picked) / max(1e-9, sum(old for old, _ in picked)))
    drawn.sort()
    return drawn[int(0.025 * _BOOTSTRAP)], drawn[int(0.975 * _BOOTSTRAP) - 1]


def _geometric(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))
