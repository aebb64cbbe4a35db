"""Waiting tasks by who may take them and by whose turn it is: groups of equal tasks, one behind the other."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from typing import Any

from projections.assignments import Task

RANKS = {"high": 0, "middle": 1, "low": 2}

# A task: when it came (or its deadline, once lost), the position of its submission, its key.
Item = tuple[int, int, str]
# A group's turn: lost ones first, then by value, then by position.
Entry = tuple[int, float, int, str]


def rank_of(priority: str) -> int:
    """Return the place of a priority; an unknown one counts as middle."""
    return RANKS.get(priority, 1)


class Group:
    """Equal tasks of one lane, the oldest first. `size` is what their length is looked up by."""

    __slots__ = ("entry", "items", "lane", "lost", "name", "queue", "size")

    def __init__(self, lane: "Lane", name: str, task: Task, lost: bool) -> None:
        self.lane, self.name, self.lost = lane, name, lost
        self.queue, self.size = task.queue, task.size
        self.items: list[Item] = []
        self.entry: Entry | None = None

    @property
    def head(self) -> str:
        """The key of the first task."""
        return self.items[0][2]


class Lane:
    """Waiting tasks that the same agents may take."""

    __slots__ = ("avoid", "bits", "entries", "groups", "high", "rank")

    def __init__(self, rank: int, bits: tuple[int, ...], avoid: str, high: bool) -> None:
        self.rank, self.bits, self.avoid, self.high = rank, bits, avoid, high
        self.entries: list[Entry] = []
        self.groups: dict[str, Group] = {}


class Lanes:
    """All lanes. `value` says where a group stands, by its size and the time its first task came."""

    def __init__(self, value: Callable[[str, int], float]) -> None:
        self._value = value
        self._lanes: dict[tuple[int, tuple[int, ...], str, bool], Lane] = {}
        self._ranks: dict[int, list[Lane]] = {}
        self._spots: dict[str, tuple[Group, Item]] = {}
        self._sized: dict[str, dict[int, Group]] = {}

    def __len__(self) -> int:
        return len(self._spots)

    def clear(self) -> None:
        """Forget every task."""
        self._lanes, self._ranks, self._spots, self._sized = {}, {}, {}, {}

    def ordered(self) -> Iterator[list[Lane]]:
        """Yield the lanes of each rank, the highest first; some may hold nothing."""
        for rank in sorted(self._ranks):
            yield self._ranks[rank]

    def put(self, task: Task, rank: int, bits: tuple[int, ...], name: str, lost: int) -> None:
        """Let a task wait; `lost` is the deadline that orders one whose agent went away, 0 for others."""
        place = (rank, bits, task.avoid, task.priority == "high")
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = Lane(*place)
            self._ranks.setdefault(rank, []).append(lane)
        name = f"!{name}" if lost else name
        group = lane.groups.get(name)
        if group is None:
            group = lane.groups[name] = Group(lane, name, task, bool(lost))
            self._sized.setdefault(group.size, {})[id(group)] = group
        key = task.key
        item = (lost or task.at, task.submitted, key)
        insort(group.items, item)
        self._spots[key] = (group, item)
        if group.items[0] is item:
            self._turn(group)

    def take(self, key: str) -> None:
        """Let a task wait no more; one that does not wait is passed over."""
        spot = self._spots.pop(key, None)
        if spot is None:
            return
        group, item = spot
        at = bisect_left(group.items, item)
        del group.items[at]
        if at == 0:
            self._turn(group)

    def holds(self, size: str) -> bool:
        """Tell whether tasks of this size wait."""
        return size in self._sized

    def sized(self, size: str) -> None:
        """Move every group of this size to where it stands now."""
        for group in self._sized.get(size, {}).values():
            if not group.lost:
                self._turn(group)

    def _turn(self, group: Group) -> None:
        lane, before = group.lane, group.entry
        entry: Entry | None = None
        if group.items:
            came, submitted, _ = group.items[0]
            value = float(came) if group.lost else self._value(group.size, came)
            entry = (0 if group.lost else 1, value, submitted, group.name)
            if entry == before:
                return
        if before is not None:
            del lane.entries[bisect_left(lane.entries, before)]
        group.entry = entry
        if entry is None:
            self._forget(group)
        else:
            insort(lane.entries, entry)

    def _forget(self, group: Group) -> None:
        lane = group.lane
        del lane.groups[group.name]
        sized: dict[int, Any] = self._sized[group.size]
        del sized[id(group)]
        if not sized:
            del self._sized[group.size]
        if not lane.groups and lane.avoid:
            # The others are few, and soon needed again.
            del self._lanes[lane.rank, lane.bits, lane.avoid, lane.high]
            self._ranks[lane.rank].remove(lane)
            if not self._ranks[lane.rank]:
                del self._ranks[lane.rank]
