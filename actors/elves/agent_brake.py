"""Several agents silent at once: is the node itself the cause? Its next tick in time is the answer."""

from collections.abc import Iterator

from actors.elves import Draft, View
from actors.elves.alarm import Alarm, sound
from projections.agents import SHARED_CAUSE
from projections.care import Care

GROUP = "agents"
# More than one of so many at once have perhaps a cause in common.
_PER = 3


def shared_cause(suspected: list[str], many: int, care: Care, view: View) -> Iterator[Draft]:
    """Raise and clear the one alert about all agents; `suspected` are those that come under suspicion now."""
    limits, now, brake = view.settings.limits, view.timeline.now, care.brake
    held = {name for name in brake.suspicions if brake.holds(name, many, now, limits)}
    with_them = {name: brake.questions(name, many, now, limits) for name in sorted(held | set(suspected))}
    together = {name for name, others in with_them.items() if others} | held
    if len(suspected) > max(1, many // _PER):
        together |= set(suspected)
    others = {other for name in together for other in with_them[name]} - together
    names = ", ".join(sorted(together)) + (f" after {', '.join(sorted(others))}" if others else "")
    alarm = Alarm(
        rule=SHARED_CAUSE,
        cause=SHARED_CAUSE,
        target=GROUP,
        high=bool(together),
        low=not together,
        reason="correlated",
        text=f"{names}, of {many} agents, silent at once: a shared cause? Nothing is taken from them until the node"
        " has examined itself",
        calm="the node itself is well: each agent is judged by itself",
        facts={
            "agents": sorted(together),
            "others": sorted(others),
            "of": many,
            "lag_ms": brake.lag_ms,
            "probed_at": brake.probed_at,
        },
        severity="critical",
    )
    yield from sound(alarm, view)
