"""Whose turn it is on both sides: waiting tasks and free agents, indexed, kept up to date by the ledger itself.

It holds nothing that is not in the ledger: made anew from it at any time it gives the same answers.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Protocol

from msgspec import Struct

from actors.elves.distribution.lanes import Group, Lane, Lanes, rank_of
from actors.elves.distribution.seats import Seat, Seats
from projections.agents import Agent
from projections.assignments import Task
from projections.ledger import Ledger
from projections.records import SECOND, Record

# An assignment that nobody claimed for so long goes to somebody else.
CLAIM_US = 30 * SECOND
# A task without attempts is given up again if that had no effect for so long.
GIVE_UP_US = 30 * SECOND

# How often the sizes of what runs are looked at.
MINUTE = 60 * SECOND

# So many groups are tried for one that a free agent may take.
_TRIED = 64
_EXACT = 16


class Pick(Struct, frozen=True):
    """Give this task to this agent. `rule` is `assign` or `reassign`."""

    key: str
    agent: str
    rule: str
    reason: str


class Policy(Protocol):
    """What a board asks of a distribution policy."""

    @property
    def push(self) -> bool:
        """Tell whether tasks are given out whether agents are free or not."""

    @property
    def ordered(self) -> bool:
        """Tell whether priorities order what waits."""

    @property
    def slot_us(self) -> int:
        """Return how often time alone changes turns."""

    @property
    def lost_first(self) -> bool:
        """Tell whether tasks of an agent that went away come before all others of their priority."""

    def seat(self, agent: Agent, record: Record, held: int, now: int, moment: int) -> Seat:
        """Return an agent's place; what time alone changes is as of `moment`, the start of a slot."""

    def group(self, task: Task) -> str:
        """Return what tasks that are equal in turn and needs share."""

    def value(self, board: "Board", size: str, came: int) -> float:
        """Return where a group stands."""

    def turns(self, board: "Board", lane: Lane, now: int) -> Iterable[tuple[Any, Group]]:
        """Yield the lane's groups in their turn, each with what compares it with those of other lanes."""

    def place(self, board: "Board", lane: Lane, task: Task, now: int) -> tuple[str, str] | None:
        """Return the agent for a task and the reason."""


class Board:
    """See the module. `pick` changes nothing: asked again it says the same.

    It gives out the tasks that it `wants`, which is asked of their keys.
    """

    def __init__(self, ledger: Ledger, policy: Policy, wants: Callable[[str], bool] = lambda _: True) -> None:
        self.ledger, self.policy = ledger, policy
        self._wants = wants
        self.seats = Seats()
        self.lanes = Lanes(partial(policy.value, self))
        self.spent: list[str] = []
        self._extra: dict[str, int] = {}
        self._reserved: dict[str, None] = {}
        self._overdue: dict[str, list[str]] = {}
        self._timers: list[tuple[int, str, str]] = []
        self._stale = True
        self._now = self._slot = -1
        self.minute = -1
        self.estimates: dict[str, float] = {}
        self._kinds = 0
        self._order: dict[str, int] = {}
        self._tasks: dict[str, None] = {}
        self._agents: dict[str, None] = {}
        self._sizes: dict[str, None] = {}
        ledger.watchers.append(self)

    # What the ledger tells.

    def task(self, key: str) -> None:
        """See `Watcher`."""
        self._tasks[key] = None

    def agent(self, name: str) -> None:
        """See `Watcher`."""
        self._agents[name] = None

    def size(self, name: str) -> None:
        """See `Watcher`."""
        self._sizes[name] = None
        kinds = len(self.ledger.sizes.kinds)
        if kinds < self._kinds:
            # Some kinds were forgotten, whichever.
            self.estimates.clear()
        self._kinds = kinds
        self.estimates.pop(name, None)

    def everything(self) -> None:
        """See `Watcher`."""
        self._stale = True

    # What a driver asks.

    def pick(self, now: int) -> Pick | None:
        """Return what to give to whom next, None when nothing can be placed at this time."""
        self.refresh(now)
        if not self.seats.free:
            return None
        if self._sizes:
            self._resize()
        pick = self._pick_overdue(now) if self._overdue else None
        if pick:
            return pick
        for lanes in self.lanes.ordered():
            best: tuple[Any, Group, tuple[str, str]] | None = None
            for lane in lanes:
                found = self._first(lane, now) if lane.entries else None
                if found and (best is None or found[0] < best[0]):
                    best = found
            if best:
                _, group, (agent, reason) = best
                key = group.head
                lost = self.ledger.tasks[key].lost
                return Pick(key, agent, "reassign" if lost else "assign", reason)
        return None

    def reserve(self, pick: Pick) -> None:
        """Count a pick as done until `restore`."""
        self._reserved[pick.key] = None
        self._extra[pick.agent] = self._extra.get(pick.agent, 0) + 1
        self.lanes.take(pick.key)
        self._agents[pick.agent] = None
        holder = self.ledger.tasks[pick.key].agent
        if holder:
            self._agents[holder] = None

    def restore(self) -> None:
        """Take every reservation back."""
        for key in self._reserved:
            self._tasks[key] = None
            self._agents[self.ledger.tasks[key].agent] = None
        for name in self._extra:
            self._agents[name] = None
        self._reserved, self._extra = {}, {}

    def wakes(self, now: int) -> int:
        """Return the next forest time at which time alone lets a task be placed, 0 for never.

        What is only looked after, as assignments that nobody claims, comes up with the ticks.
        """
        if not self._timers:
            return 0
        return next((at for at, what, _ in self._timers if at > now and what == "task"), 0)

    def held(self, name: str) -> int:
        """Return how many tasks an agent has, those reserved for it included."""
        return len(self.ledger.held.get(name, ())) + self._extra.get(name, 0)

    def overdue(self) -> Iterator[str]:
        """Yield the tasks that were assigned too long ago and never claimed."""
        for keys in self._overdue.values():
            yield from keys

    def unplaced(self) -> Iterator[str]:
        """Yield waiting tasks that nobody who is there may take, as far as a push or a look at the classes tells."""
        for lanes in self.lanes.ordered():
            for lane in lanes:
                if self.policy.push or not self.seats.living(lane.bits):
                    for group in lane.groups.values():
                        yield from (item[2] for item in group.items)

    # Inside.

    def refresh(self, now: int) -> None:
        """Bring the index up to this time."""
        if self._stale:
            self._rebuild()
        if now != self._now:
            self._pass(now)
        if self._tasks:
            for key in self._tasks:
                self._put_task(key, now)
            self._tasks = {}
        if self._agents:
            for name in self._agents:
                self._put_agent(name, now)
            self._agents = {}

    def _pass(self, now: int) -> None:
        """Take up what time alone has changed."""
        self._now = now
        slot = now // self.policy.slot_us
        if slot != self._slot:
            self._slot = slot
            self._agents.update(dict.fromkeys(self._order))
        minute = now - now % MINUTE
        if minute != self.minute:
            self.minute = minute
            self._look_at_work()
        while self._timers and self._timers[0][0] <= now:
            _, what, name = self._timers.pop(0)
            (self._agents if what == "agent" else self._tasks)[name] = None

    def _look_at_work(self) -> None:
        """Estimate anew what turns out to be longer than it was taken for; of all other kinds is known what was."""
        for size, running in self.ledger.at_work.items():
            estimate = self.estimates.get(size)
            if estimate is None or (self.minute - running[0][0]) / 1000 > estimate:
                self.estimates.pop(size, None)
                if self.lanes.holds(size):
                    self._sizes[size] = None

    def _resize(self) -> None:
        """Move what waits to where its size puts it; only who picks must know."""
        for name in self._sizes:
            self.lanes.sized(name)
        self._sizes = {}

    def _rebuild(self) -> None:
        ledger = self.ledger
        self._stale = False
        self._order = {name: number for number, name in enumerate(ledger.order)}
        self.lanes.clear()
        self.seats.clear(iter(ledger.agents.agents.values()))
        self.spent, self._timers, self._overdue = [], [], {}
        self._now = -1
        self._tasks = dict.fromkeys(ledger.tasks)
        self._agents = dict.fromkeys(ledger.order)

    def _at(self, time: int, what: str, name: str) -> None:
        timer = (time, what, name)
        place = bisect_left(self._timers, timer)
        if self._timers[place : place + 1] != [timer]:
            self._timers.insert(place, timer)

    def _put_task(self, key: str, now: int) -> None:
        self.lanes.take(key)
        if self.spent and key in self.spent:
            self.spent.remove(key)
        task = self.ledger.tasks.get(key)
        if task is None or task.held or key in self._reserved or not self._wants(key):
            return
        if task.state == "waiting":
            if task.ready > now:
                self._at(task.ready, "task", key)
                return
            policy = self.policy
            bits = self.seats.bits(task.kind, task.priority)
            lost = self.deadline(task) if task.lost and policy.lost_first else 0
            rank = rank_of(task.priority) if policy.ordered else 0
            if task.size in self._sizes:
                # First those that wait already: the new one comes to where it belongs at once.
                del self._sizes[task.size]
                self.lanes.sized(task.size)
            self.lanes.put(task, rank, bits, policy.group(task), lost)
        else:
            again = task.given_up_at + GIVE_UP_US if task.given_up_at else 0
            if again > now:
                self._at(again, "task", key)
            else:
                insort(self.spent, key)

    def _put_agent(self, name: str, now: int) -> None:
        order = self._order.get(name)
        if order is None:
            return
        ledger = self.ledger
        agent, record = ledger.agents.agents[name], ledger.record(name)
        moment = max(self._slot * self.policy.slot_us, 0)
        held, claims = len(ledger.held.get(name, ())), ledger.claims.get(name, 0)
        extra = self._extra.get(name, 0) if self._extra else 0
        seat = self.policy.seat(agent, record, held + extra, now, moment)
        self.seats.put(agent, order, seat)
        if seat.until > now:
            self._at(seat.until, "agent", name)
        if self._overdue:
            self._overdue.pop(name, None)
        # Whoever is at its limit cannot claim more.
        if held != claims and not claims >= agent.wip > 0:
            self._look_for_overdue(agent, record, held - claims, now)

    def _look_for_overdue(self, agent: Agent, record: Record, unclaimed: int, now: int) -> None:
        name = agent.name
        at = record.freed_at + CLAIM_US
        if unclaimed > _EXACT and at > now:
            self._at(at, "agent", name)
            return
        late: list[str] = []
        for key in self.ledger.held[name]:
            task = self.ledger.tasks[key]
            if task.state != "assigned" or key in self._reserved or not self._wants(key):
                continue
            due = 0 if agent.intent != "run" else max(record.freed_at, task.assigned_at) + CLAIM_US
            if due <= now:
                late.append(key)
            else:
                self._at(due, "agent", name)
        if late:
            self._overdue[name] = sorted(late, key=self._urgency)

    def _urgency(self, key: str) -> tuple[int, int, int]:
        task = self.ledger.tasks[key]
        return rank_of(task.priority), self.deadline(task), task.submitted

    def deadline(self, task: Task) -> int:
        """Return when a task should be done, by its time-out from its submission."""
        return task.at + round((task.timeout_s or self.ledger.timeouts.get(task.queue, 600.0)) * SECOND)

    def _pick_overdue(self, now: int) -> Pick | None:
        if self.ledger.agents.frozen:
            return None
        for key in sorted(self.overdue(), key=self._urgency)[:_TRIED]:
            task = self.ledger.tasks[key]
            bits = self.seats.bits(task.kind, task.priority)
            rank = rank_of(task.priority) if self.policy.ordered else 0
            lane = Lane(rank, bits, task.agent, task.priority == "high")
            placed = self.policy.place(self, lane, task, now)
            if placed and placed[0] != task.agent:
                return Pick(key, placed[0], "reassign", "unclaimed")
        return None

    def _first(self, lane: Lane, now: int) -> tuple[Any, Group, tuple[str, str]] | None:
        """Return the lane's first group that somebody may take."""
        if not self.seats.is_open(lane.bits):
            return None
        for turn, group in islice(self.policy.turns(self, lane, now), _TRIED):
            task = self.ledger.tasks[group.head]
            if task.lost and self.ledger.agents.frozen:
                # Its agent may be there after all, and it is the node that hears nothing.
                continue
            placed = self.policy.place(self, lane, task, now)
            if placed:
                return turn, group, placed
        return None


def board_of(ledger: Ledger, policy: Policy) -> Board:
    """Return the ledger's board for this policy; it is kept beside the ledger and made anew for another policy."""
    board: Board | None = ledger.__dict__.get("board")
    if board is None or board.policy != policy:
        if board:
            ledger.watchers.remove(board)
        board = ledger.__dict__["board"] = Board(ledger, policy)
    return board
