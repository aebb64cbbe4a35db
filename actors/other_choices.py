"""Open loop: at every recorded assignment, in the recorded state, what another policy would have chosen."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from actors.audit_index import Index
from actors.elves.distribution import Board, Distribution, distribution
from actors.simulator.scenario import Choice
from events.decisions import AssignTask, Decided
from events.envelope import Recorded
from events.settings import Settings, SettingsAdopted
from projections.dispatch import Dispatch
from projections.timeline import Timeline

Source = Callable[[], Iterator[Sequence[Recorded]]]
Difference = Literal["same", "agent", "task", "nothing"]

EXAMPLES = 5
_RULES = ("assign", "reassign")


class Example(Struct, frozen=True, kw_only=True):
    """One choice that changes; `task` and `agent` as recorded, `other_*` what the policy chooses instead."""

    decision: str
    as_of: int
    change: Difference
    task: str
    agent: str
    other_task: str = ""
    other_agent: str = ""


class Changes(Struct, kw_only=True):
    """How many choices stay, and what changes: another agent for the task, another task first, nothing at all."""

    choices: int = 0
    same: int = 0
    agent: int = 0
    task: int = 0
    nothing: int = 0
    examples: list[Example] = []


def other_choices(source: Source, choice: Choice) -> Changes:
    """Ask a policy in every recorded state. `source` yields the log from its beginning and is asked twice."""
    return _Asker(Index.of(source()), choice).walk(source())


class _Asker:
    def __init__(self, index: Index, choice: Choice) -> None:
        self._batches: dict[int, list[tuple[str, Decided]]] = {}
        for (elf, _, as_of), batch in index.batches.items():
            given = [(name, decided) for _, name, decided in batch if _counts(decided)]
            if elf == "balance" and given:
                self._batches[as_of] = given
        self._choice = choice
        self._timeline = Timeline()
        self._dispatch = Dispatch()
        self._settings = Settings(node="")
        self._board: Board | None = None
        self.changes = Changes(examples=[])

    def walk(self, chunks: Iterator[Sequence[Recorded]]) -> Changes:
        for chunk in chunks:
            for event in chunk:
                self._timeline.apply(event)
                if isinstance(event.body, SettingsAdopted):
                    self._settings = event.body.settings
                self._dispatch.apply(event, self._timeline.now, self._timeline.epoch, self._settings)
                if isinstance(event.body, SettingsAdopted):
                    self._turn()
                batch = self._batches.pop(event.position, None)
                if batch:
                    self._ask(event.position, batch)
        return self.changes

    def _turn(self) -> None:
        """Make the board anew: the last resort may be another one."""
        resort = self._dispatch.resorts[0] if self._dispatch.resorts else ""
        policy: Distribution = distribution(
            self._choice.policy, self._choice.parameters, resort, self._settings.distribution.learning
        )
        if self._board is not None:
            self._dispatch.watchers.remove(self._board)
        self._board = Board(self._dispatch, policy)

    def _ask(self, as_of: int, batch: Sequence[tuple[str, Decided]]) -> None:
        board, now = self._board, self._timeline.now
        if board is None:
            return
        board.refresh(now)
        try:
            for name, decided in batch:
                given = decided.action
                assert isinstance(given, AssignTask)
                pick = board.pick(now)
                key = f"{given.queue}/{given.task}"
                if pick is None:
                    self._note("nothing", name, as_of, key, given.agent, "", "")
                    continue
                board.reserve(pick)
                what: Difference = (
                    "task" if pick.key != key else "agent" if pick.agent != given.agent else "same"
                )
                self._note(what, name, as_of, key, given.agent, pick.key, pick.agent)
        finally:
            board.restore()

    def _note(
        self, what: Difference, name: str, as_of: int, key: str, agent: str, other_key: str, other: str
    ) -> None:
        changes = self.changes
        changes.choices += 1
        setattr(changes, what, getattr(changes, what) + 1)
        told = sum(example.change == what for example in changes.examples)
        if what != "same" and told < EXAMPLES:
            changes.examples.append(
                Example(
                    decision=name,
                    as_of=as_of,
                    change=what,
                    task=key,
                    agent=agent,
                    other_task=other_key,
                    other_agent=other,
                )
            )


def _counts(decided: Decided) -> bool:
    return decided.rule in _RULES and decided.mode == "act" and isinstance(decided.action, AssignTask)
