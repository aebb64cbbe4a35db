"""Several decisions of one batch about the same thing are compared each with its own."""

from collections.abc import Sequence

from msgspec import Struct

from actors.audit import replay
from actors.elves import Draft, View
from events.decisions import ProposeMove
from events.envelope import Recorded
from events.event import Event
from events.observations import Sampled
from tests.replay import Forest, settings


class Seen(Struct):
    """Ticks so far."""

    ticks: int = 0


class Twofold:
    """A policy that proposes two moves away from the same agent at each tick."""

    name = "twofold"
    version = "1"
    state_type = Seen
    triggers: tuple[type[Event], ...] = (Sampled,)

    def __init__(self, goals: Sequence[str] = ("b", "c")) -> None:
        self.goals = goals

    def initial(self) -> Seen:
        return Seen()

    def fold(self, state: Seen, event: Recorded, view: View) -> None:
        state.ticks += isinstance(event.body, Sampled)

    def decide(self, state: Seen, view: View) -> list[Draft]:
        return [
            Draft(
                rule="move",
                target="a",
                action=ProposeMove(tasks=(f"t{state.ticks}",), source="a", goal=goal),
                reason="load",
                text=f"to {goal}",
                inputs={"ticks": state.ticks},
            )
            for goal in self.goals
        ]

    def due(self, state: Seen, view: View) -> int:
        return 0


def played() -> Forest:
    forest = Forest(policies=(Twofold(),))
    forest.lead(settings())
    forest.tick()
    forest.tick()
    return forest


def test_two_moves_away_from_one_agent_replay_equal() -> None:
    report = replay(played().source, policies=(Twofold(),))
    assert (report.decisions, report.equal, report.divergences) == (4, 4, [])


def test_a_changed_and_a_missing_second_one_are_found() -> None:
    changed = replay(played().source, policies=(Twofold(("b", "d")),))
    assert {(item.cls, item.field) for item in changed.divergences} == {
        ("result", "action"),
        ("result", "text"),
    }
    fewer = replay(played().source, policies=(Twofold(("b",)),))
    assert [item.cls for item in fewer.divergences] == ["extra", "extra"]
