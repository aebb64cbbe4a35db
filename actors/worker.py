"""One local worker process: holds it by its pidfd, starts it, lets it run on, ends it by the playbook."""

import errno
import secrets
import signal
from collections.abc import Callable
from typing import Any, Literal

from msgspec.structs import replace

from actors.clock import Clock
from actors.evidence import Question
from actors.journal import Journal
from actors.keeper_client import Exit, Keeper, KeeperGone, KeeperRefused, StartRefused, StartRequest
from actors.process import Identity
from actors.processes import Held, Processes
from actors.runtime import Actor, Watcher, tell
from actors.worker_ending import Ending
from actors.worker_orders import (
    Adopt,
    Continue,
    End,
    Ended,
    Examine,
    Hurry,
    Start,
    Timer,
    Told,
    UnitPlan,
)
from events.event import Event
from events.log import Receipt
from events.observations import EvidenceTaken, WorkerExited
from events.outcomes import (
    EffectFailed,
    EffectStarted,
    EffectVerified,
    StepDone,
    WorkerStarted,
    WorkerStartOrdered,
)

_CONTINUE_CHECK_S = 0.2
_KEEPER_AGAIN_S = 0.1
_KEEPER_TRIES = 100

Phase = Literal["absent", "starting", "running", "draining", "ending", "killing"]


class WorkerActor(Actor):
    """The only one that starts, signals and ends the processes of its unit. Signals go through pidfds only."""

    def __init__(
        self,
        watcher: Watcher,
        node: str,
        plan: Callable[[], UnitPlan | None],
        unit: str,
        journal: Journal,
        clock: Clock,
        keeper: Callable[[], Keeper],
        processes: Processes,
        ask_to_drain: Callable[[str, str], None],
        examine: Callable[[Question], EvidenceTaken] | None = None,
    ) -> None:
        super().__init__(unit, watcher)
        self._node = node
        self.plan = plan
        self._journal = journal
        self._clock = clock
        self._keeper = keeper
        self.processes = processes
        self.ask_to_drain = ask_to_drain
        self._look_at = examine
        self.phase: Phase = "absent"
        self.generation = 0
        self.nonce = ""
        self.process: Held | None = None
        self.identity: Identity | None = None
        self._doing = ""
        self._busy = False
        self._ending: Ending | None = None
        self._next: End | None = None
        self._step = 0
        self._tries = 0
        self._step_began = 0.0

    def handle(self, message: Any) -> Any:
        """Take an order, an exit, a receipt or a timer."""
        match message:
            case Start(decision=decision, generation=generation):
                if self.phase == "running" and not (self.process and self.process.alive()):
                    # Its exit was told to one who failed meanwhile; what is real counts.
                    self.phase = "absent"
                if self._free(decision, self.phase == "absent"):
                    self.order_start(generation)
            case End(decision="") if self._busy:
                self._end_next(message)
            case End(decision=decision):
                if self._free(decision, True):
                    # The node's own end is meant for whatever lives by now.
                    newest = message.generation if decision else max(message.generation, self.generation)
                    self._ending = Ending(self, replace(message, generation=newest))
                    self.write(self._ending.begin, EffectStarted(decision=decision, target=self.name))
            case Continue(decision=decision, generation=generation):
                if self._free(decision, self.phase == "running" and generation == self.generation):
                    self.write(self._continue, EffectStarted(decision=decision, target=self.name))
            case Examine(decision=decision, generation=generation):
                if self._free(decision, self.phase == "running" and generation == self.generation):
                    started = EffectStarted(decision=decision, target=self.name)
                    self.write(lambda: self._examine(message), started)
            case Hurry(generation=generation):
                if self._ending and generation == self.generation:
                    self._ending.hurry_on()
            case Adopt():
                self.generation, self.nonce = message.generation, message.nonce
                self._hold(message.identity)
                self.phase = "running"
            case Ended(exit=ended):
                self._ended(ended)
            case Told(next=then, result=Receipt()):
                then()
            case Told(result=result):
                self.give_up(f"the log did not take the order: {result}", "write")
            case Timer(number=number, next=then):
                if number == self._step:
                    then()
            case int() as number:
                if self.process:
                    self.process.signal(number)
            case _:
                return super().handle(message)
        return None

    def end(self) -> None:
        """Let go of the process; it lives on under the keeper."""
        if self.process:
            self.process.close()

    def _free(self, decision: str, fits: bool) -> bool:
        """Begin an act unless another is under way or the unit is not where the act needs it."""
        if self._busy or not fits:
            error = f"the unit is {self.phase} in generation {self.generation}"
            failed = EffectFailed(decision=decision, target=self.name, error=error)
            self._journal.write(failed, cause=decision)
            return False
        self._busy = True
        self._doing = decision
        return True

    def _end_next(self, order: End) -> None:
        """The node ends: what is under way comes to its end first, and without a new generation."""
        self._next = order
        if self._ending:
            self._ending.hurry()

    # --- start ---------------------------------------------------------------------------------------------

    def order_start(self, generation: int) -> None:
        """Say durably which process is about to be forked, then have it forked."""
        plan = self.plan()
        if plan is None:
            self.give_up("the unit is not in the configuration in force", "start")
            return
        # Nothing of an older generation may live beside a new one, children that left its session included.
        self.processes.sweep(f"{self._node}:{self.name}:", signal.SIGKILL)
        self.phase = "starting"
        self.generation = generation
        self.nonce = secrets.token_hex(6)
        self._tries = 0
        ordered = WorkerStartOrdered(
            unit=self.name, pool=plan.pool, generation=generation, nonce=self.nonce, decision=self._doing
        )
        started = [] if self._ending else [EffectStarted(decision=self._doing, target=self.name)]
        self._ending = None
        self.write(lambda: self._start(plan), *started, ordered)

    def _start(self, plan: UnitPlan) -> None:
        marker = f"{self._node}:{self.name}:{self.generation}:{self.nonce}"
        try:
            launch = plan.launch(self.generation, marker)
            started = self._keeper().start(
                StartRequest(
                    unit=self.name,
                    generation=self.generation,
                    nonce=self.nonce,
                    argv=launch.argv,
                    env=launch.env,
                    cwd=launch.cwd,
                    log=launch.log,
                    secret=plan.secret,
                    notify=launch.notify,
                )
            )
        except StartRefused as problem:
            if problem.errno == errno.EEXIST:
                self.wait(0.0, lambda: self._start_again(plan))
            else:
                self._not_started(str(problem.strerror))
        except KeeperGone as problem:
            self._keeper_away(plan, str(problem))
        except (OSError, LookupError) as problem:
            self._not_started(str(problem))
        else:
            self._born(plan, Identity(self.processes.boot(), started.pid, started.start))

    def _born(self, plan: UnitPlan, identity: Identity) -> None:
        self._hold(identity)
        self.phase = "running"
        born = WorkerStarted(
            unit=self.name,
            pool=plan.pool,
            generation=self.generation,
            pid=identity.pid,
            start=identity.start,
            nonce=self.nonce,
        )
        self.verified(f"pid {identity.pid} runs", born)

    def _keeper_away(self, plan: UnitPlan, error: str) -> None:
        """The keeper died or hangs over this order: whether it carried it out is seen when one answers again."""
        self._tries += 1
        if self._tries > _KEEPER_TRIES:
            self._not_started(error)
        else:
            self.wait(_KEEPER_AGAIN_S, lambda: self._start_again(plan))

    def _start_again(self, plan: UnitPlan) -> None:
        """The same order, by its nonce: a process that lives by it is taken, never doubled."""
        try:
            child = next((unit for unit in self._keeper().units() if unit.nonce == self.nonce), None)
        except (KeeperGone, KeeperRefused) as problem:
            self._keeper_away(plan, str(problem))
            return
        found = (
            Identity(self.processes.boot(), child.pid, child.start)
            if child
            else self.processes.leader(f"{self.marker(self.generation)}{self.nonce}")
        )
        if found:
            self._born(plan, found)
        else:
            self._start(plan)

    def _not_started(self, error: str) -> None:
        self.phase = "absent"
        exited = WorkerExited(unit=self.name, generation=self.generation, pid=0, code=127, error=error)
        self.give_up(error, "start", exited)

    def _hold(self, identity: Identity) -> None:
        if self.process:
            self.process.close()
        self.identity = identity
        self.process = self.processes.hold(identity)

    # --- exit, continue ------------------------------------------------------------------------------------

    def _ended(self, ended: Exit) -> None:
        if ended.generation != self.generation or ended.nonce != self.nonce:
            return
        if self.process:
            self.process.close()
            self.process = None
        if self.phase == "starting":
            self.give_up("ended before its start was seen", "start")
        elif self._ending and self.phase in ("draining", "ending", "killing"):
            self._ending.exited(f"signal {ended.signal}" if ended.code is None else f"code {ended.code}")
        else:
            # An ending whose beginning is not durable yet finds it gone in its first step.
            self.phase = "absent"

    def _continue(self) -> None:
        if self.process:
            self.process.signal_group(signal.SIGCONT)
            # What executes tasks has a session of its own and may be what was stopped.
            self.processes.sweep(self.marker(self.generation), signal.SIGCONT)
        self.wait(_CONTINUE_CHECK_S, self._continued)

    def _continued(self) -> None:
        state = self.processes.state(self.identity) if self.identity else "X"
        if state in "TtZX":
            self.give_up(f"state {state} after SIGCONT", "send_sigcont")
        else:
            self.verified(f"state {state} after SIGCONT")

    def _examine(self, order: Examine) -> None:
        taken = self.evidence(order.kind, order.pid)
        if taken is None or taken.error:
            told = [taken] if taken else []
            self.give_up(taken.error if taken else "nobody can look here", "take_evidence", *told)
        else:
            self.verified(f"kept in {taken.file}", taken)

    def keep_evidence(self, kind: str) -> None:
        """Look before force is used, and write down what was seen; force follows in any case."""
        taken = self.evidence(kind)
        if taken:
            self._journal.write(taken, cause=self._doing)

    def evidence(self, kind: str, pid: int = 0) -> EvidenceTaken | None:
        """Look at the living process, for two seconds at most."""
        if not self._look_at or not self.identity or not self.process:
            return None
        marker = self.marker(self.generation)
        question = Question(
            unit=self.name,
            generation=self.generation,
            kind=kind,
            marker=marker,
            identity=self.identity,
            pid=pid,
        )
        return self._look_at(question)

    # --- what every act needs ------------------------------------------------------------------------------

    def marker(self, generation: int) -> str:
        """Return the start of ELF_UNIT in every process of a generation."""
        return f"{self._node}:{self.name}:{generation}:"

    def write(self, then: Callable[[], None], *bodies: Event) -> None:
        """Write first, act when the last of these is durable.

        One by one and in order: that is quicker than one batch, and the next node settles what is left between them.
        """
        ref = self.actor_ref
        for body in bodies[:-1]:
            self._journal.write(body, cause=self._doing)
        self._journal.write(bodies[-1], cause=self._doing, done=lambda result: _tell(ref, Told(then, result)))

    def wait(self, seconds: float, then: Callable[[], None]) -> None:
        """Go on with `then` after so long, unless a later step has begun."""
        self._step += 1
        ref, number = self.actor_ref, self._step
        self._step_began = self._clock.monotonic()
        self._clock.later(seconds, lambda: _tell(ref, Timer(number, then)))

    def done(self, step: str, ok: bool, detail: str) -> None:
        """Write down a step with what its post-check found."""
        now = self._clock.monotonic()
        took = int((now - self._step_began) * 1000) if self._step_began else 0
        self._step += 1
        self._step_began = now
        self._journal.write(
            StepDone(decision=self._doing, target=self.name, step=step, ok=ok, detail=detail, took_ms=took),
            cause=self._doing,
        )

    def verified(self, detail: str, *before: Event) -> None:
        """End the act: its post-check passed."""
        effect = EffectVerified(decision=self._doing, target=self.name, detail=detail)
        self._finish(*before, effect)

    def give_up(self, error: str, step: str, *before: Event) -> None:
        """End the act: it did not reach its post-check."""
        if self.phase != "absent":
            self.phase = "running" if self.process and self.process.alive() else "absent"
        effect = EffectFailed(decision=self._doing, target=self.name, error=error, step=step)
        self._finish(*before, effect)

    def _finish(self, *bodies: Event) -> None:
        self._journal.write(*bodies, cause=self._doing)
        self._doing, self._busy, self._ending = "", False, None
        self._step += 1
        self._step_began = 0.0
        order, self._next = self._next, None
        if order:
            # What was under way may have been the start of a later generation.
            _tell(self.actor_ref, End(order.decision, self.generation, again=False))


def _tell(ref: Any, message: object) -> None:
    tell(ref, message)
