"""One table for two policies: while a candidate is tried, each gives out its own share of the tasks to the same agents.

Tasks belong to one side or the other by a hash. The sides take turns by work: whose tasks have had less of the agents'
time in proportion to its share comes first, among tasks of the same priority.
"""

from collections.abc import Iterator
from itertools import chain

from msgspec import UNSET, Struct, UnsetType

from actors.elves.distribution.board import Board, Pick, board_of
from actors.elves.distribution.lanes import rank_of
from actors.elves.distribution.placing import Distribution
from actors.elves.distribution.seats import Seats
from events.settings import CanarySettings
from projections.assignments import Task
from projections.canaries import is_tried
from projections.dispatch import Dispatch
from projections.ledger import Ledger

# A side that had nothing to give out may catch up on so many tasks of mean size.
_CATCH_UP = 20


class Shares(Struct):
    """Estimated milliseconds of agents' time that the tasks of either side have had since the trial began."""

    decision: str
    tried: float = 0.0
    rest: float = 0.0

    def lead(self, tried: bool, share: float) -> float:
        """Return how much a side has had in proportion to its share."""
        return self.tried / max(share, 1e-9) if tried else self.rest / max(1.0 - share, 1e-9)

    def served(self, ledger: Ledger, canary: CanarySettings, task: Task) -> None:
        """Count an assignment."""
        mean = ledger.sizes.mean_ms(task.queue) or 1000.0
        size = ledger.sizes.estimate_ms(task.size, 1) or mean
        share = canary.share
        if is_tried(canary, task.key):
            self.tried += size
            self.rest = max(self.rest, (self.lead(True, share) - _CATCH_UP * mean) * (1.0 - share))
        else:
            self.rest += size
            self.tried = max(self.tried, (self.lead(False, share) - _CATCH_UP * mean) * share)


class Side(Struct):
    """One policy with its board; `tried` is None where no other one shares the agents."""

    policy: Distribution
    board: Board
    tried: bool | None = None


class Table:
    """What the Balance elf asks of its board, whether one policy sits there or two."""

    def __init__(self, sides: tuple[Side, ...], share: float, shares: Shares | None) -> None:
        self.sides = sides
        self._share = share
        self._shares = Shares(shares.decision, shares.tried, shares.rest) if shares else Shares("")
        self._canary: CanarySettings | None = None
        self.board = sides[0].board

    @classmethod
    def of(
        cls,
        dispatch: Dispatch,
        policy: Distribution,
        canary: CanarySettings | UnsetType = UNSET,
        candidate: Distribution | None = None,
        shares: Shares | None = None,
    ) -> "Table":
        """Lay the table; boards are kept beside the fold as long as their policies stay."""
        if not canary or candidate is None:
            _forget(dispatch)
            return cls((Side(policy, board_of(dispatch, policy)),), 0.0, None)
        kept = dispatch.__dict__.get("shared_boards")
        if not kept or kept[0] != canary or kept[1] is not policy or kept[2] != candidate:
            _forget(dispatch)
            sides = (
                Side(policy, Board(dispatch, policy, lambda key: not is_tried(canary, key)), False),
                Side(candidate, Board(dispatch, candidate, lambda key: is_tried(canary, key)), True),
            )
            kept = dispatch.__dict__["shared_boards"] = (canary, policy, candidate, sides)
        table = cls(kept[3], canary.share, shares)
        table._canary = canary
        return table

    def refresh(self, now: int) -> None:
        """See `Board.refresh`."""
        for side in self.sides:
            side.board.refresh(now)

    @property
    def ledger(self) -> Ledger:
        """See `Board.ledger`."""
        return self.board.ledger

    @property
    def seats(self) -> Seats:
        """See `Board.seats`."""
        return self.board.seats

    @property
    def spent(self) -> list[str]:
        """See `Board.spent`."""
        return list(chain.from_iterable(side.board.spent for side in self.sides))

    def pick(self, now: int) -> tuple[Side, Pick] | None:
        """Return what to give out next, and which side does."""
        found: list[tuple[int, float, int, Side, Pick]] = []
        for number, side in enumerate(self.sides):
            pick = side.board.pick(now)
            if pick:
                task = side.board.ledger.tasks[pick.key]
                lead = self._shares.lead(bool(side.tried), self._share) if self._canary else 0.0
                found.append((rank_of(task.priority), lead, number, side, pick))
        if not found:
            return None
        _, _, _, side, pick = min(found, key=lambda item: item[:3])
        return side, pick

    def reserve(self, pick: Pick) -> None:
        """See `Board.reserve`: the agent is taken for everybody."""
        if self._canary:
            self._shares.served(self.ledger, self._canary, self.ledger.tasks[pick.key])
        for side in self.sides:
            side.board.reserve(pick)

    def restore(self) -> None:
        """See `Board.restore`."""
        for side in self.sides:
            side.board.restore()

    def wakes(self, now: int) -> int:
        """See `Board.wakes`."""
        return min((at for side in self.sides if (at := side.board.wakes(now))), default=0)

    def unplaced(self) -> Iterator[str]:
        """See `Board.unplaced`."""
        for side in self.sides:
            yield from side.board.unplaced()


def _forget(dispatch: Dispatch) -> None:
    kept = dispatch.__dict__.pop("shared_boards", None)
    if kept:
        for side in kept[3]:
            dispatch.watchers.remove(side.board)
