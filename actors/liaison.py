"""The node's side of its agents: follows the log, gives acts to each agent's actor, answers agents from one fold."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pykka
from msgspec import Struct

from actors.agent_actor import AgentActor, Joined, Ping, Restart, Verify
from actors.agent_line import Line
from actors.agent_notes import end_of, left_behind
from actors.agent_words import AgentBeat, Order
from actors.clock import Clock
from actors.config import Agent
from actors.feed import Subscription
from actors.follower import Follower
from actors.journal import Journal
from actors.phases import entered
from actors.runtime import Down, Watcher, tell
from actors.snapshots import Snapshots
from events.agents import AgentAdded, AgentIntentSet, AgentJoined, AgentLeft, AgentRevoked, HandedOver
from events.decisions import AssignTask, Decided, GiveUpTask, MarkAgent, PingAgent, RestartAgent, VerifyAgent
from events.envelope import Recorded
from events.event import Event
from events.log import Conflict, Expect, LogFull, LogUnreachable, Receipt, entry
from events.outcomes import EffectFailed
from events.settings import Limits, SettingsAdopted
from events.subjects import task_filter
from events.tasks import TaskCancelled, TaskDropped, TaskFinished, TaskMoved
from projections.agency import Agency, Given, key_of

_log = logging.getLogger("elf.agents")

# What changes who is there and who may log in.
_COME_AND_GO = (AgentAdded, AgentRevoked, AgentJoined, AgentLeft, AgentIntentSet, SettingsAdopted)
# So long a question waits for the log to be read up to where it must be.
_WAIT_S = 5.0


class Lead(Struct, frozen=True):
    """This node leads since `epoch`; what lies at or before `behind` was dealt with by an actor before this one."""

    epoch: int
    behind: int = 0


class Asked(Struct, frozen=True):
    """A question that the fold answers once it has read up to `at`. `answer` is called in the actor's thread.

    A question for the text of the task `key` waits for the note that is on its way to the log.
    """

    at: int
    answer: Callable[[Agency], None]
    key: str = ""


class Liaison(Follower[Agency]):
    """One AgentActor for each agent; `expect` is told who is there, `serve` which agents may log in.

    `last(filter, call)` calls back, on the bus, with the position of the last message under a filter.
    """

    def __init__(
        self,
        watcher: Watcher,
        journal: Journal,
        clock: Clock,
        line: Line,
        plan: Callable[[str], Agent | None],
        limits: Callable[[], Limits],
        beat: Callable[[str], AgentBeat | None],
        expect: Callable[[Mapping[str, str]], None],
        serve: Callable[[list[str]], None],
        last: Callable[[str, Callable[[int], None]], None],
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
    ) -> None:
        super().__init__("agents", watcher, subscribe, snapshots, Agency())
        self._journal = journal
        self._clock = clock
        self._line = line
        self._plan = plan
        self._limits = limits
        self._beat = beat
        self._expect = expect
        self._serve = serve
        self._last = last
        self._lead: Lead | None = None
        self._epoch = 0
        self._asked: list[tuple[float, Asked]] = []
        self._noting: dict[str, float] = {}
        self._there: dict[str, str] = {}
        self._known: list[str] = []

    def handle(self, message: Any) -> Any:
        """Take events, questions and the lead."""
        match message:
            case Lead():
                self._lead = message
                self._maybe_lead()
            case Asked():
                self._asked.append((self._clock.monotonic() + _WAIT_S, message))
                self._answer()
            case Down(name=name, error=error):
                raise RuntimeError(f"{name}: {error}")
            case _:
                answer = super().handle(message)
                self._answer()
                return answer
        return None

    def end(self) -> None:
        """End the agents' actors; keep what is known."""
        super().end()
        for actor in self.below.values():
            actor.stop(block=True, timeout=2.0)

    def seen(self, event: Recorded) -> None:
        """Act on an event if this node leads; what an actor before this one has dealt with is only remembered."""
        if self._epoch:
            self._see(event)
        self._maybe_lead()

    def known(self) -> list[str]:
        """Return the agents that may log in."""
        return [name for name, agent in self.fold.dispatch.agents.agents.items() if agent.known]

    # --- the lead ------------------------------------------------------------------------------------------------

    def _maybe_lead(self) -> None:
        order = self._lead
        if order is None or self.position < max(order.epoch, order.behind):
            return
        self._lead = None
        self._epoch = order.epoch
        for act in list(self.fold.acts.values()):
            error = "the node was started anew before it was done"
            self._journal.write(
                EffectFailed(decision=act.decision, target=act.agent, error=error), cause=act.decision
            )
        for given in list(self.fold.given_up.values()):
            self._give_up(given)
        for name, agent in self.fold.dispatch.agents.agents.items():
            if agent.run:
                self._tell_intent(name, agent.intent)
        self._who()

    def _who(self) -> None:
        """Tell the watch who is there, and the server who may log in."""
        agents = self.fold.dispatch.agents.agents
        there = {name: agent.run for name, agent in agents.items() if agent.run and agent.known}
        if there != self._there:
            self._there = there
            self._expect(there)
        known = self.known()
        if known != self._known:
            self._known = known
            self._serve(known)

    # --- events ----------------------------------------------------------------------------------------------------

    def _see(self, event: Recorded) -> None:
        body = event.body
        match body:
            case Decided() as decided if decided.epoch == self._epoch and decided.mode == "act":
                self._act(event, decided)
            case AgentJoined(agent=name, run=run) if event.source == f"agent.{name}":
                self._line.tell(name, Order(do="superseded", run=run))
                self._actor(name).tell(Joined(run))
            case AgentIntentSet(agent=name, intent=intent):
                self._tell_intent(name, intent)
            case AgentLeft(agent=name) | AgentRevoked(agent=name):
                self._note_lost(name)
            case HandedOver():
                self._noting.pop(f"{body.queue}/{body.task}", None)
            case TaskCancelled() | TaskMoved() | TaskDropped() | TaskFinished():
                self._call_off(event, body)
            case _:
                pass
        for agent, phase in entered(event, self.fold):
            self._journal.append(
                [entry(self._journal.envelope(phase, id=f"phase-{agent}-{event.position}", cause=event.id))]
            )
        if isinstance(body, _COME_AND_GO):
            self._who()

    def _act(self, event: Recorded, decided: Decided) -> None:
        action, name = decided.action, decided.target
        match action:
            case PingAgent(number=number):
                self._actor(name).tell(Ping(event.id, number))
            case RestartAgent():
                self._actor(name).tell(Restart(event.id))
            case VerifyAgent():
                self._actor(name).tell(Verify(event.id))
            case GiveUpTask():
                self._give_up(Given(event.id, action))
            case AssignTask():
                self._announce(action, decided.text)
            case MarkAgent(state="down"):
                self._note_lost(name)
            case _:
                return

    def _actor(self, name: str) -> pykka.ActorRef[AgentActor]:
        actor = self.below.get(name)
        if actor is None or not actor.is_alive():
            ref = self.actor_ref
            actor = AgentActor.start(
                partial(tell, ref),
                name,
                self._journal,
                self._clock,
                self._line,
                partial(self._plan, name),
                self._limits,
            )
            self.below[name] = actor
        return actor

    def _tell_intent(self, name: str, intent: str) -> None:
        orders = {"drain": Order(do="drain"), "retire": Order(do="retire"), "run": Order(do="run")}
        self._line.tell(name, orders[intent])

    def _announce(self, given: AssignTask, why: str) -> None:
        """Both agents hear of a task that changes hands."""
        if not given.previous or given.previous == given.agent:
            return
        words = {"task": given.task, "queue": given.queue, "lease": given.lease, "why": why}
        self._line.tell(given.previous, Order(do="lost", other=given.agent, **words))  # type: ignore[arg-type]
        self._line.tell(given.agent, Order(do="gained", other=given.previous, **words))  # type: ignore[arg-type]
        said = "task %s goes from %s to %s: %s"
        _log.info(said, given.task, given.previous, given.agent, why, extra={"task": given.task})

    def _give_up(self, given: Given, stands: int = 0) -> None:
        """Write the end of a task without attempts, unless something else happened to it.

        After a refusal the log is read up to what came in between: if that meant nothing, it is said behind it.
        """
        action = given.action
        about = task_filter(action.queue, action.task)
        envelope = self._journal.envelope(
            end_of(action), id=f"giveup-{given.decision}", cause=given.decision, correlation=action.task
        )
        ref = self.actor_ref

        def again(position: int, agency: Agency) -> None:
            if agency.given_up.get(f"{action.queue}/{action.task}") == given:
                self._give_up(given, position)

        def said(result: Receipt | Exception) -> None:
            if isinstance(result, Conflict | LogFull | LogUnreachable):
                self._last(about, lambda position: _pass(ref, Asked(position, partial(again, position))))

        self._journal.append([entry(envelope, Expect(about, stands or action.after))], said)

    def _call_off(self, event: Recorded, body: Event) -> None:
        """Who is still at a task that has ended without them may stop."""
        task = self.fold.touched
        if task is None or key_of(body) in self.fold.dispatch.tasks:
            return
        for name in {task.agent, task.claimer} - {"", event.source.removeprefix("agent.")}:
            why = f"{event.type.removeprefix('task_')} by {event.source}"
            self._line.tell(name, Order(do="cancel", task=task.task, queue=task.queue, why=why))

    def _note_lost(self, name: str) -> None:
        """Leave what an agent's last beat told of its tasks to those who get them next."""
        for note in left_behind(self.fold, name, self._beat(name)):
            self._noting[f"{note.queue}/{note.task}"] = self._clock.monotonic() + _WAIT_S
            self._journal.write(note, correlation=note.task)

    # --- questions ---------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        """Answer what has been read far enough for; who asks too far ahead gets the answer of now."""
        now = self._clock.monotonic()
        self._noting = {key: until for key, until in self._noting.items() if until > now}
        waiting = []
        for until, asked in self._asked:
            ready = asked.at <= self.position and asked.key not in self._noting
            if self._epoch and (ready or until < now):
                asked.answer(self.fold)
            elif until + _WAIT_S > now:
                waiting.append((until, asked))
        self._asked = waiting


def _pass(ref: Any, message: object) -> None:
    tell(ref, message)
