"""The Balance elf gives tasks to agents, takes them from those that are away, and proposes better places."""

from collections.abc import Iterator, Sequence

from msgspec import UNSET, Struct, UnsetType, field

from actors.elves import Draft, View, evening, overflow
from actors.elves import pools as workers
from actors.elves.balance_drafts import (
    alarm,
    assignment,
    candidate_of,
    given_up,
    moves,
    policy_of,
    proposal,
)
from actors.elves.distribution import Board, Distribution
from actors.elves.distribution.sharing import Shares, Table
from actors.elves.redistribution import Wanted, plan
from events.agents import AgentAdded, AgentIntentSet, AgentJoined, AgentLeft, AgentRevoked
from events.decisions import AssignTask, ClearAlert, Decided, ProposeMove
from events.envelope import Recorded
from events.event import Event
from events.observations import Sampled
from events.settings import SettingsAdopted
from events.tasks import (
    TaskCancelled,
    TaskDied,
    TaskDropped,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)
from projections.alerts import is_due_again
from projections.assignments import Task
from projections.dispatch import Dispatch
from projections.records import SECOND

# So many decisions at a time; the others follow when these are read.
BATCH = 200
# An approved move that could not be made for so long is forgotten.
_MOVE_US = 300 * SECOND


class BalanceState(Struct):
    """Tasks and agents; approved moves; the pools of workers and their queues; whether the last event was a tick."""

    dispatch: Dispatch = field(default_factory=Dispatch)
    wanted: list[Wanted] = field(default_factory=list)
    pools: workers.PoolsState = field(default_factory=workers.blank)
    moved: overflow.Overflow = field(default_factory=overflow.Overflow)
    ticked: bool = False
    shares: Shares | UnsetType = UNSET


class BalanceElf:
    """Agents: `assign`, `reassign`, `give_up`, `redistribute` (advice unless settings say more), `unplaced`.

    Workers: `scale`, `night`, `even_cpu`, `even_memory`, `overflow`, `batch` (advice, too).
    """

    name = "balance"
    version = "1"
    state_type = BalanceState
    triggers: tuple[type[Event], ...] = (
        AgentAdded,
        AgentIntentSet,
        AgentJoined,
        AgentLeft,
        AgentRevoked,
        Decided,
        Sampled,
        SettingsAdopted,
        TaskCancelled,
        TaskDied,
        TaskDropped,
        TaskFailed,
        TaskFinished,
        TaskMoved,
        TaskReleased,
        TaskStarted,
        TaskSubmitted,
    )

    def initial(self) -> BalanceState:
        """See `Policy.initial`."""
        return BalanceState()

    def fold(self, state: BalanceState, event: Recorded, view: View) -> None:
        """See `Policy.fold`."""
        now, body = view.timeline.now, event.body
        state.dispatch.apply(event, now, view.timeline.epoch, view.settings)
        if view.settings.distribution.canary:
            _serve(state, event, view)
        workers.fold(state.pools, event, view)
        overflow.fold(state.moved, event, now)
        state.ticked = isinstance(body, Sampled)
        if isinstance(body, Decided):
            self._decided(state, body, view)
        if state.wanted:
            state.wanted = [wanted for wanted in state.wanted if _stands(state.dispatch, wanted, now)]

    def _decided(self, state: BalanceState, decided: Decided, view: View) -> None:
        move = decided.action
        if isinstance(move, ProposeMove) and decided.mode == "act" and decided.epoch == view.timeline.epoch:
            want(state, move, view.timeline.now)

    def decide(self, state: BalanceState, view: View) -> Sequence[Draft]:
        """See `Policy.decide`."""
        drafts = self._for_agents(state, view) if state.dispatch.tasks or view.alerts.open else []
        if state.ticked:
            scaled = list(workers.decide(state.pools, view))
            drafts.extend(scaled)
            drafts.extend(evening.decide(state.pools, {draft.target for draft in scaled}, view))
            drafts.extend(overflow.decide(state.moved, state.pools, view))
        return drafts

    def _for_agents(self, state: BalanceState, view: View) -> list[Draft]:
        dispatch, now = state.dispatch, view.timeline.now
        board = table_of(state, view)
        board.refresh(now)
        drafts = [given_up(dispatch.tasks[key]) for key in board.spent[:BATCH]]
        try:
            drafts.extend(moves(board, state.wanted, BATCH - len(drafts), now))
            while len(drafts) < BATCH and (picked := board.pick(now)):
                side, pick = picked
                drafts.append(assignment(side.board, side.policy, pick, now, side.tried))
                board.reserve(pick)
            if state.ticked:
                drafts.extend(self._redistribute(state, board.board, board.sides[0].policy, view))
                drafts.extend(self._unplaced(board, view))
        finally:
            board.restore()
        return drafts

    def due(self, state: BalanceState, view: View) -> int:
        """See `Policy.due`: retries, delayed tasks, claims that are overdue, agents that may take more again."""
        if not state.dispatch.tasks:
            return 0
        board = table_of(state, view)
        board.refresh(view.timeline.now)
        return board.wakes(view.timeline.now)

    def _redistribute(
        self, state: BalanceState, board: Board, policy: Distribution, view: View
    ) -> Iterator[Draft]:
        if state.wanted or not (policy.push or policy.values.get("prefetch")):
            return
        limit = view.settings.limits.redistribute_above
        for move in plan(board, limit, view.timeline.now):
            yield proposal(move, limit)

    def _unplaced(self, table: Table, view: View) -> Iterator[Draft]:
        """Alert where tasks that nobody may take have waited for half of their time."""
        now, steps = view.timeline.now, view.settings.limits.renotify_s
        waiting: dict[str, list[Task]] = {}
        board = table.board
        for key in table.unplaced():
            task = board.ledger.tasks[key]
            if now - task.at >= (board.deadline(task) - task.at) // 2:
                waiting.setdefault(task.queue, []).append(task)
        for queue in board.ledger.queues:
            alert = view.alerts.find("unplaced", queue)
            tasks = waiting.get(queue, [])
            if tasks and (alert is None or is_due_again(alert, steps, now)):
                yield alarm(queue, tasks, now, alert is not None)
            elif alert and not tasks:
                yield Draft(
                    rule="unplaced",
                    target=queue,
                    action=ClearAlert(cause="unplaced"),
                    reason="placed",
                    text=f"every task of {queue} has an agent that may take it",
                    inputs={},
                )


def table_of(state: BalanceState, view: View) -> Table:
    """Return where tasks and agents meet: the policy in force, beside it the one that is being tried."""
    settings = view.settings.distribution
    policy = policy_of(state.dispatch, settings)
    candidate = candidate_of(state.dispatch, settings)
    return Table.of(state.dispatch, policy, settings.canary, candidate, state.shares or None)


def _serve(state: BalanceState, event: Recorded, view: View) -> None:
    """Count what the tasks of either side get of the agents' time."""
    canary, body = view.settings.distribution.canary, event.body
    if not canary:
        return
    if not state.shares or state.shares.decision != canary.decision:
        state.shares = Shares(canary.decision)
    if isinstance(body, Decided) and isinstance(body.action, AssignTask) and body.mode == "act":
        task = state.dispatch.tasks.get(f"{body.action.queue}/{body.action.task}")
        if task and body.epoch == view.timeline.epoch:
            state.shares.served(state.dispatch, canary, task)


def want(state: BalanceState, move: ProposeMove, now: int) -> None:
    """Note an approved move; it is made as soon as its tasks can go."""
    known = {wanted.key for wanted in state.wanted}
    for key in move.tasks:
        if key not in known:
            state.wanted.append(Wanted(key, move.source, move.goal, now))


def _stands(dispatch: Dispatch, wanted: Wanted, now: int) -> bool:
    task = dispatch.tasks.get(wanted.key)
    there = task is not None and task.state == "assigned" and task.agent == wanted.source
    return there and now - wanted.at < _MOVE_US
