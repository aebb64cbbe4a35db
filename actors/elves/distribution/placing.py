"""What all distribution policies share: eligibility, whose turn it is, the ordered last resort."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from actors.elves.distribution.board import Board
from actors.elves.distribution.lanes import Group, Lane
from actors.elves.distribution.parameters import Parameter
from actors.elves.distribution.seats import Item, Seat
from events.settings import LEARNING
from projections.agents import Agent
from projections.assignments import Task
from projections.records import HOUR, Record

_FULL = Seat(why_not="full")


class Distribution:
    """A policy. `version` changes with every change of behaviour; `slot_us` is how often time alone changes turns."""

    name: ClassVar[str] = ""
    version: str = "1"
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    push: ClassVar[bool] = False
    ordered: ClassVar[bool] = True
    slot_us: ClassVar[int] = HOUR

    def __init__(self, values: Mapping[str, float], fallback: str = "", learning: int = LEARNING) -> None:
        self.values = dict(values)
        self.fallback = fallback
        self.learning = learning

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # equal by value, never a key

    @property
    def lost_first(self) -> bool:
        """Tell whether tasks of an agent that went away come before all others of their priority."""
        return True

    def seat(self, agent: Agent, record: Record, held: int, now: int, moment: int) -> Seat:
        """Return an agent's place; `moment` is the start of the slot that `now` lies in."""
        return self.refused(agent, held) or Seat(self.turn(record, held, agent.name, moment))

    def refused(self, agent: Agent, held: int) -> Seat | None:
        """Return the place of an agent that is away or full, None for others."""
        wip = agent.wip
        if wip <= 0:
            return Seat(why_not=absence(agent), there=False)
        return _FULL if held >= wip and (not self.push or agent.state == "probation") else None

    def turn(self, record: Record, held: int, name: str, moment: int) -> Any:
        """Return what orders free agents: the longest idle one first."""
        return (record.freed_at, name)

    def group(self, task: Task) -> str:
        """Return what tasks share that come one after the other: here all."""
        return ""

    def value(self, board: Board, size: str, came: int) -> float:
        """Return where a group stands: here by its age alone."""
        return 0.0

    def turns(self, board: Board, lane: Lane, now: int) -> Iterable[tuple[Any, Group]]:
        """Yield the lane's groups in their turn, each with what compares it with those of other lanes."""
        return ((entry, lane.groups[entry[3]]) for entry in lane.entries)

    def place(self, board: Board, lane: Lane, task: Task, now: int) -> tuple[str, str] | None:
        """Return the agent whose turn it is among those that may take the task; else the last resort."""
        if not board.seats.free:
            return None
        if not board.seats.living(lane.bits):
            return last_resort(board)
        item = first(board, lane)
        return (item[2], self.name) if item else None

    def terms(self, board: Board, name: str, now: int) -> dict[str, float]:
        """Return the numbers that an agent's turn rests on."""
        record = board.ledger.record(name)
        return {"held": board.held(name), "idle_s": max(0.0, (now - record.freed_at) / 1e6)}

    def behind(self) -> str:
        """Return why a free agent was not chosen: it is not its turn."""
        return "idle for less time"


def absence(agent: Agent) -> str:
    """Return why an agent takes no work whatever it holds."""
    if not agent.known:
        return "revoked"
    if agent.intent != "run":
        return agent.intent
    return "absent" if agent.state in ("alive", "probation") else agent.state


def first(board: Board, lane: Lane) -> Item | None:
    """Return the free agent whose turn it is; not the one to avoid, nor one in probation for high, if others live."""
    seats, bits = board.seats, lane.bits
    avoid = lane.avoid if lane.avoid and seats.shuns(bits, lane.avoid) else ""
    best: Item | None = None
    for turns in seats.turns(bits, not lane.high or not seats.has_members(bits)):
        item = turns[0]
        if item[2] == avoid:
            if len(turns) == 1:
                continue
            item = turns[1]
        if best is None or item < best:
            best = item
    return best


def last_resort(board: Board) -> tuple[str, str] | None:
    """Return the first agent in the order of last resort that is there and not full."""
    return next(((name, "fallback") for name in board.ledger.resorts if board.seats.is_free(name)), None)
