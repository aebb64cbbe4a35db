"""Agents by what they may do and by whose turn it is: one ordered list for each eligibility class."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from projections.agents import Agent

# So many agents with a limit of their own are looked at before the next one.
_LOOKED_AT = 16

Item = tuple[Any, int, str]

# Whether an agent is there, in probation, limited.
_Standing = tuple[bool, bool, bool]
_NOBODY = (False, False, False)


class Seat(Struct, frozen=True):
    """An agent's place: free with the key that orders it, or `why_not`. It changes by time alone at `until`, 0 never.

    `there` are those that may take work now or later without a change of their state.

    One in probation gets no high task where a full member is there; a limited one no task that is too long for it.
    """

    key: Any = 0
    why_not: str = ""
    limited: bool = False
    until: int = 0
    there: bool = True


class _Class:
    """One eligibility class: skills and priorities."""

    def __init__(self, skills: tuple[str, ...], priorities: tuple[str, ...]) -> None:
        self.skills = frozenset(skills)
        self.priorities = frozenset(priorities)
        self.steady: list[Item] = []
        self.limited: list[Item] = []
        self.probation: list[Item] = []
        self.living = self.members = self.unlimited = 0

    def takes(self, kind: str, priority: str) -> bool:
        """Tell whether its agents take such tasks."""
        skilled = not self.skills or not kind or kind in self.skills
        return skilled and (not self.priorities or priority in self.priorities)

    def count(self, standing: "_Standing", step: int) -> None:
        """Count an agent that stands so in, or with -1 out."""
        there, probation, limited = standing
        if there:
            self.living += step
            if not probation:
                self.members += step
                if not limited:
                    self.unlimited += step


class _Place:
    """Where an agent stands now: in a list of its class, or for `why_not` among those that are out."""

    __slots__ = ("at", "item", "list", "standing", "why_not")

    def __init__(self, at: _Class) -> None:
        self.at, self.why_not, self.standing = at, "", _NOBODY
        self.item: Any = None
        self.list: list[Any] = []


class Seats:
    """All agents. Kept up to date one agent at a time."""

    def __init__(self) -> None:
        self.classes: list[_Class] = []
        self.out: dict[str, list[tuple[int, str]]] = {}
        self.free = 0
        self._number: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
        self._places: dict[str, _Place] = {}
        self._bits: dict[tuple[str, str], tuple[int, ...]] = {}

    def clear(self, agents: Iterator[Agent]) -> None:
        """Forget everybody; make the classes of these agents."""
        self.classes, self._number = [], {}
        self.out, self.free, self._places, self._bits = {}, 0, {}, {}
        for agent in agents:
            settings = agent.settings
            key = (settings.skills, settings.priorities)
            if key not in self._number:
                self._number[key] = len(self.classes)
                self.classes.append(_Class(*key))

    def bits(self, kind: str, priority: str) -> tuple[int, ...]:
        """Return the numbers of the classes that take such tasks."""
        found = self._bits.get((kind, priority))
        if found is None:
            found = tuple(n for n, item in enumerate(self.classes) if item.takes(kind, priority))
            self._bits[kind, priority] = found
        return found

    def put(self, agent: Agent, order: int, seat: Seat) -> None:
        """Give an agent its place."""
        name, why_not, limited = agent.name, seat.why_not, seat.limited
        place = self._places.get(name)
        if place is None:
            settings = agent.settings
            at = self.classes[self._number[settings.skills, settings.priorities]]
            place = self._places[name] = _Place(at)
        else:
            at = place.at
            del place.list[bisect_left(place.list, place.item)]
            self.free -= not place.why_not
        probation = agent.state == "probation"
        standing = (seat.there, probation, limited)
        if standing != place.standing:
            at.count(place.standing, -1)
            at.count(standing, 1)
            place.standing = standing
        place.why_not = why_not
        if why_not:
            place.list, place.item = self.out.setdefault(why_not, []), (order, name)
        else:
            place.list = at.probation if probation else at.limited if limited else at.steady
            place.item = (seat.key, order, name)
            self.free += 1
        insort(place.list, place.item)

    def why_not(self, name: str) -> str:
        """Return why an agent takes nothing now; "" when it is free."""
        place = self._places.get(name)
        return place.why_not if place else ""

    def is_free(self, name: str) -> bool:
        """Tell whether an agent takes something now."""
        place = self._places.get(name)
        return place is not None and not place.why_not

    def belongs(self, name: str, bits: tuple[int, ...]) -> bool:
        """Tell whether an agent is of one of these classes."""
        place = self._places.get(name)
        return place is not None and any(self.classes[bit] is place.at for bit in bits)

    def living(self, bits: tuple[int, ...]) -> int:
        """Return how many agents of these classes are there, free or not."""
        living = 0
        for bit in bits:
            living += self.classes[bit].living
        return living

    def is_open(self, bits: tuple[int, ...]) -> bool:
        """Tell whether somebody may be found for tasks of these classes: one who is free, or a last resort."""
        living = 0
        for bit in bits:
            item = self.classes[bit]
            if item.steady or item.limited or item.probation:
                return True
            living += item.living
        return not living

    def shuns(self, bits: tuple[int, ...], avoid: str) -> bool:
        """Tell whether an agent can be avoided: somebody else of these classes is there."""
        place = self._places.get(avoid)
        mine = place is not None and place.standing[0] and self.belongs(avoid, bits)
        return self.living(bits) > (1 if mine else 0)

    def has_members(self, bits: tuple[int, ...]) -> bool:
        """Tell whether a full member of these classes is there."""
        return any(self.classes[bit].members for bit in bits)

    def has_unlimited(self, bits: tuple[int, ...]) -> bool:
        """Tell whether an agent of these classes is there that no length is too long for."""
        return any(self.classes[bit].unlimited for bit in bits)

    def turns(self, bits: tuple[int, ...], probation: bool) -> Iterator[list[Item]]:
        """Yield the free agents of these classes, each list in the order of their turns, limited ones apart."""
        for bit in bits:
            item = self.classes[bit]
            if item.steady:
                yield item.steady
            if probation and item.probation:
                yield item.probation

    def limited(self, bits: tuple[int, ...]) -> Iterator[Item]:
        """Yield free agents that take no long tasks, the first few of each class."""
        for bit in bits:
            yield from self.classes[bit].limited[:_LOOKED_AT]
