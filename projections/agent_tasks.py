"""Which tasks agents hold and how they ended, and how long tasks of each kind take: what an agent's care rests on."""

from collections.abc import Iterator

from msgspec import Struct

from events.decisions import AssignTask, Decided
from events.envelope import Recorded
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

_KEPT = 200
# Below so many finished tasks of a kind nobody knows what is suspiciously fast.
_KNOWN = 50
_AGENT = "agent."


class Held(Struct):
    """One task that was assigned: which agent had which lease, who claimed it last and where (0: nobody has it)."""

    queue: str
    kind: str = ""
    agent: str = ""
    lease: int = 0
    leases: dict[str, str] = {}
    claimer: str = ""
    claim: int = 0


class End(Struct, frozen=True):
    """An attempt ended by the agent that held it. `hollow`: done too fast to be true and with nothing to show."""

    agent: str
    key: str
    good: bool
    hollow: bool = False


class AgentTasks(Struct):
    """Assigned tasks by `queue/task`, the kinds of submitted ones, last service times by `queue/kind` in ms."""

    kinds: dict[str, str] = {}
    held: dict[str, Held] = {}
    services: dict[str, list[int]] = {}
    dispatched: tuple[str, ...] = ()

    def apply(self, event: Recorded, epoch: int) -> End | None:
        """Fold one event; return the attempt that it ended, if an agent that held the task says so."""
        match event.body:
            case SettingsAdopted(settings=settings):
                self.dispatched = tuple(queue.name for queue in settings.queues if queue.serve == "dispatch")
            case TaskSubmitted(task=task, queue=queue, kind=kind) if queue in self.dispatched:
                key = f"{queue}/{task}"
                self.held.pop(key, None)
                self.kinds[key] = kind
            case Decided(action=AssignTask() as given) as decided:
                if decided.epoch == epoch and decided.mode == "act":
                    self._assigned(given)
            case TaskStarted() as started:
                self._started(started, event)
            case (
                TaskFinished(task=task, queue=queue, claim=claim)
                | TaskFailed(task=task, queue=queue, claim=claim)
            ):
                return self._ended(f"{queue}/{task}", claim, event)
            case TaskReleased(task=task, queue=queue, claim=claim):
                held = self.held.get(f"{queue}/{task}")
                if held and held.claim == claim:
                    held.agent, held.claimer, held.claim = "", "", 0
            case (
                TaskDied(task=task, queue=queue)
                | TaskCancelled(task=task, queue=queue)
                | TaskMoved(task=task, queue=queue)
                | TaskDropped(task=task, queue=queue)
            ):
                self._gone(f"{queue}/{task}")
            case _:
                pass
        return None

    def of(self, agent: str) -> Iterator[Held]:
        """Yield what an agent was given last and has not ended, claimed or not."""
        return (held for held in self.held.values() if agent in (held.agent, held.claimer))

    def p99_ms(self, agent: str) -> int:
        """Return the 99th percentile of what tasks like those that the agent holds take, the longest kind's."""
        kinds = {f"{held.queue}/{held.kind}" for held in self.of(agent)}
        return max((_quantile(self.services[kind], 99) for kind in kinds if kind in self.services), default=0)

    def _assigned(self, given: AssignTask) -> None:
        key = f"{given.queue}/{given.task}"
        held = self.held.get(key)
        if held is None:
            held = self.held[key] = Held(given.queue, self.kinds.pop(key, ""))
        held.agent, held.lease = given.agent, given.lease
        held.leases[str(given.lease)] = given.agent

    def _started(self, started: TaskStarted, event: Recorded) -> None:
        held = self.held.get(f"{started.queue}/{started.task}")
        name = event.source.removeprefix(_AGENT)
        if held and event.source.startswith(_AGENT) and held.leases.get(str(started.lease)) == name:
            held.claimer, held.claim = name, event.position

    def _ended(self, key: str, claim: int, event: Recorded) -> End | None:
        held = self.held.get(key)
        if held is None or not held.claim or held.claim != claim or event.source != _AGENT + held.claimer:
            return None
        body = event.body
        agent = held.claimer
        if isinstance(body, TaskFinished):
            del self.held[key]
            hollow = self._timed(f"{held.queue}/{held.kind}", body)
            return End(agent, key, not hollow, hollow)
        held.agent, held.claimer, held.claim = "", "", 0
        return End(agent, key, False)

    def _timed(self, kind: str, finished: TaskFinished) -> bool:
        """Note a service time; tell whether it is below the 1st percentile and nothing came of it."""
        known = self.services.setdefault(kind, [])
        fast = len(known) >= _KNOWN and finished.service_ms < _quantile(known, 1)
        if fast and finished.result in (None, "", {}, []) and not finished.artefacts:
            return True
        known.append(finished.service_ms)
        if len(known) > 2 * _KEPT:
            del known[:-_KEPT]
        return False

    def _gone(self, key: str) -> None:
        self.held.pop(key, None)
        self.kinds.pop(key, None)


def _quantile(values: list[int], percent: int) -> int:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
