"""One local worker process: its start, its stop sequence step by step, each step with its own post-check."""

import secrets
import signal
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from actors.clock import Clock
from actors.journal import Journal
from actors.keeper_client import Exit, Keeper, KeeperGone, KeeperRefused, StartRefused, StartRequest
from actors.process import Identity, Process, boot_id, members, read_stat, sweep
from actors.runtime import Actor, Watcher, tell
from actors.units import Launch
from events.log import Receipt
from events.observations import WorkerExited
from events.outcomes import (
    EffectFailed,
    EffectStarted,
    EffectVerified,
    StepDone,
    WorkerStarted,
    WorkerStartOrdered,
)

_CONTINUE_CHECK_S = 0.2
_KILL_CHECK_S = 0.05
_KILL_TRIES = 60


class Start(Struct, frozen=True):
    """Start this generation because of a decision."""

    decision: str
    generation: int


class End(Struct, frozen=True):
    """End this generation by the stop sequence and, with `again`, start the next one.

    With `drain_s` the unit is asked first to finish what it holds, and TERM follows after that long at the latest.
    """

    decision: str
    generation: int
    again: bool
    drain_s: float = 0.0


class Continue(Struct, frozen=True):
    """Let a stopped process run on."""

    decision: str
    generation: int


class Adopt(Struct, frozen=True):
    """This process is the unit's living generation."""

    generation: int
    nonce: str
    identity: Identity


class Ended(Struct, frozen=True):
    """The keeper saw the process end."""

    exit: Exit


class Told(Struct, frozen=True):
    """The log has, or has not, what was written before the next step."""

    next: Callable[[], None]
    result: Receipt | Exception


class Timer(Struct, frozen=True):
    """Time is up for the step of that number."""

    number: int
    next: Callable[[], None]


class UnitPlan(Struct, frozen=True):
    """How a unit is launched and stopped, from the configuration in force."""

    unit: str
    pool: str
    queue: str
    stop_signal: int
    stop_wait_s: float
    launch: Callable[[int, str], Launch]
    secret: str | None = None


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
        ask_to_drain: Callable[[str, str], None],
    ) -> None:
        super().__init__(unit, watcher)
        self._node = node
        self._plan = plan
        self._journal = journal
        self._clock = clock
        self._keeper = keeper
        self._ask_to_drain = ask_to_drain
        self.phase: Phase = "absent"
        self.generation = 0
        self._nonce = ""
        self._process: Process | None = None
        self._identity: Identity | None = None
        self._doing: Start | End | Continue | None = None
        self._step = 0
        self._step_began = 0.0
        self._tries = 0

    def handle(self, message: Any) -> Any:
        """Take an order, an exit, a receipt or a timer."""
        match message:
            case Start():
                self._begin_start(message)
            case End():
                self._begin_end(message)
            case Continue():
                self._continue(message)
            case Adopt():
                self._adopt(message)
            case Ended(exit=ended):
                self._ended(ended)
            case Told(next=then, result=Receipt()):
                then()
            case Told(result=result):
                self._unwritten(result)
            case Timer(number=number, next=then):
                if number == self._step:
                    then()
            case int() as number:
                self._signal(number)
            case _:
                return super().handle(message)
        return None

    def end(self) -> None:
        """Let go of the process; it lives on under the keeper."""
        if self._process:
            self._process.close()

    # --- start ---------------------------------------------------------------------------------------------

    def _begin_start(self, order: Start) -> None:
        if self._doing or self.phase == "running":
            self._journal.write(
                EffectFailed(decision=order.decision, target=self.name, error=f"the unit is {self.phase}"),
                cause=order.decision,
            )
            return
        self._doing = order
        self._order_start(order.decision, order.generation)

    def _order_start(self, decision: str, generation: int) -> None:
        plan = self._plan()
        if plan is None:
            self._give_up("the unit is not in the configuration in force", "start")
            return
        self._sweep_older()
        self.phase = "starting"
        self.generation = generation
        self._nonce = secrets.token_hex(6)
        ordered = WorkerStartOrdered(
            unit=self.name, pool=plan.pool, generation=generation, nonce=self._nonce, decision=decision
        )
        self._write(
            lambda: self._start(plan),
            EffectStarted(decision=decision, target=self.name),
            ordered,
        )

    def _sweep_older(self) -> None:
        """Nothing of an older generation may live beside a new one, children that left its session included."""
        sweep(f"{self._node}:{self.name}:", signal.SIGKILL)

    def _start(self, plan: UnitPlan) -> None:
        marker = f"{self._node}:{self.name}:{self.generation}:{self._nonce}"
        try:
            launch = plan.launch(self.generation, marker)
            started = self._keeper().start(
                StartRequest(
                    unit=self.name,
                    generation=self.generation,
                    nonce=self._nonce,
                    argv=launch.argv,
                    env=launch.env,
                    cwd=launch.cwd,
                    log=launch.log,
                    secret=plan.secret,
                )
            )
        except StartRefused as problem:
            self._not_started(f"{problem.strerror}")
            return
        except (KeeperGone, KeeperRefused, LookupError) as problem:
            self._not_started(str(problem))
            return
        self._hold(Identity(boot_id(), started.pid, started.start))
        self.phase = "running"
        decision = self._decision()
        self._doing = None
        self._journal.write(
            WorkerStarted(
                unit=self.name,
                pool=plan.pool,
                generation=self.generation,
                pid=started.pid,
                start=started.start,
                nonce=self._nonce,
            ),
            EffectVerified(decision=decision, target=self.name, detail=f"pid {started.pid} runs"),
            cause=decision,
        )

    def _not_started(self, error: str) -> None:
        self.phase = "absent"
        decision = self._decision()
        self._doing = None
        exited = WorkerExited(unit=self.name, generation=self.generation, pid=0, code=127, error=error)
        failed = EffectFailed(decision=decision, target=self.name, error=error, step="start")
        self._journal.write(exited, failed, cause=decision)

    def _hold(self, identity: Identity) -> None:
        if self._process:
            self._process.close()
        self._identity = identity
        self._process = Process.open(identity)

    def _adopt(self, message: Adopt) -> None:
        self.generation = message.generation
        self._nonce = message.nonce
        self._hold(message.identity)
        self.phase = "running"

    # --- end -----------------------------------------------------------------------------------------------

    def _begin_end(self, order: End) -> None:
        if self._doing:
            error = "another act on the unit is under way"
            self._journal.write(
                EffectFailed(decision=order.decision, target=self.name, error=error), cause=order.decision
            )
            return
        self._doing = order
        self._write(self._check, EffectStarted(decision=order.decision, target=self.name))

    def _check(self) -> None:
        """Step 1, check_process_status: is the process that the decision speaks of still there?"""
        order = self._ending()
        process = self._process
        stat = read_stat(self._identity.pid) if self._identity else None
        alive = bool(process and process.alive() and self.generation == order.generation)
        self._done("check_process_status", True, f"state {stat.state if alive and stat else 'gone'}")
        if not alive:
            self._kill()
        elif order.drain_s > 0:
            self.phase = "draining"
            plan = self._plan()
            self._ask_to_drain(plan.pool if plan else self.name, self.name)
            self._wait(order.drain_s, self._terminate)
        else:
            self._terminate()

    def _terminate(self) -> None:
        """Step 2, send_sigterm: the declared stop signal to the whole group."""
        plan = self._plan()
        number = plan.stop_signal if plan else signal.SIGTERM
        if self.phase == "draining":
            self._done("drain", False, "still busy when its time was up")
        self.phase = "ending"
        # A stopped process cannot obey before it runs.
        sent = bool(self._process and self._process.signal_group(number, self._marker()))
        if self._process:
            self._process.signal_group(signal.SIGCONT)
        self._done("send_sigterm", sent, signal.Signals(number).name)
        self._wait(plan.stop_wait_s if plan else 10.0, self._waited)

    def _waited(self) -> None:
        """Step 3 ends without an exit: the process had its declared time."""
        self._done("wait_graceful_shutdown", False, "still alive after its declared wait")
        self._kill()

    def _kill(self) -> None:
        """Step 4, force_kill_if_needed: group and everything with the generation's marker, until nobody is left."""
        self.phase = "killing"
        self._tries = 0
        self._kill_again()

    def _kill_again(self) -> None:
        order = self._ending()
        left = self._members(order.generation)
        if not left:
            self._done("force_kill_if_needed", True, "no process of the generation is left")
            self._gone()
            return
        self._tries += 1
        if self._tries > _KILL_TRIES:
            self._give_up(f"pids {left} do not end", "force_kill_if_needed")
            return
        session = self._identity.pid if self._identity else 0
        sweep(self._marker(order.generation), signal.SIGKILL, session)
        self._wait(_KILL_CHECK_S, self._kill_again)

    def _gone(self) -> None:
        """Step 5, restart_worker, or the end."""
        order = self._ending()
        self.phase = "absent"
        if order.again:
            self._order_start(order.decision, order.generation + 1)
            return
        self._doing = None
        self._journal.write(
            EffectVerified(decision=order.decision, target=self.name, detail="no process is left"),
            cause=order.decision,
        )

    def _ended(self, ended: Exit) -> None:
        if ended.generation != self.generation or ended.nonce != self._nonce:
            return
        if self._process:
            self._process.close()
            self._process = None
        if self.phase == "running":
            self.phase = "absent"
        elif self.phase == "draining":
            self._done("drain", True, f"ended with {_how(ended)}")
            self._kill()
        elif self.phase == "ending":
            self._done("wait_graceful_shutdown", True, f"ended with {_how(ended)}")
            self._kill()
        elif self.phase == "killing":
            self._kill_again()

    # --- continue, signal ----------------------------------------------------------------------------------

    def _continue(self, order: Continue) -> None:
        if self._doing or self.phase != "running" or order.generation != self.generation:
            error = f"the unit is {self.phase} in generation {self.generation}"
            self._journal.write(
                EffectFailed(decision=order.decision, target=self.name, error=error), cause=order.decision
            )
            return
        self._doing = order

        def act() -> None:
            if self._process:
                self._process.signal_group(signal.SIGCONT)
            self._wait(_CONTINUE_CHECK_S, self._continued)

        self._write(act, EffectStarted(decision=order.decision, target=self.name))

    def _continued(self) -> None:
        stat = read_stat(self._identity.pid) if self._identity else None
        if stat is None or stat.state in "TtZX":
            self._give_up(f"state {stat.state if stat else 'gone'} after SIGCONT", "send_sigcont")
            return
        decision = self._decision()
        self._doing = None
        self._journal.write(
            EffectVerified(decision=decision, target=self.name, detail=f"state {stat.state} after SIGCONT"),
            cause=decision,
        )

    def _signal(self, number: int) -> None:
        if self._process:
            self._process.signal(number)

    # --- steps ---------------------------------------------------------------------------------------------

    def _members(self, generation: int) -> list[int]:
        session = self._identity.pid if self._identity and generation == self.generation else 0
        start = self._identity.start if session and self._identity else None
        return members(self._marker(generation), session, start)

    def _marker(self, generation: int = 0) -> str:
        return f"{self._node}:{self.name}:{generation or self.generation}:"

    def _decision(self) -> str:
        return self._doing.decision if self._doing else ""

    def _ending(self) -> End:
        if not isinstance(self._doing, End):
            raise TypeError(f"expected {self.name} to be ending, got {self._doing}")
        return self._doing

    def _write(self, then: Callable[[], None], *bodies: Any) -> None:
        """Write first, act when it is durable."""
        ref = self.actor_ref
        self._journal.write(
            *bodies, cause=self._decision(), done=lambda result: _tell(ref, Told(then, result))
        )

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._step += 1
        ref, number = self.actor_ref, self._step
        self._step_began = self._clock.monotonic()
        self._clock.later(seconds, lambda: _tell(ref, Timer(number, then)))

    def _done(self, step: str, ok: bool, detail: str) -> None:
        took = int((self._clock.monotonic() - self._step_began) * 1000) if self._step_began else 0
        self._step += 1
        self._step_began = self._clock.monotonic()
        self._journal.write(
            StepDone(
                decision=self._decision(), target=self.name, step=step, ok=ok, detail=detail, took_ms=took
            ),
            cause=self._decision(),
        )

    def _give_up(self, error: str, step: str) -> None:
        decision = self._decision()
        self._doing = None
        self._step += 1
        self.phase = "running" if self._process and self._process.alive() else "absent"
        self._journal.write(
            EffectFailed(decision=decision, target=self.name, error=error, step=step), cause=decision
        )

    def _unwritten(self, result: object) -> None:
        self._give_up(f"the log did not take the order: {result}", "write")


def _tell(ref: Any, message: object) -> None:
    tell(ref, message)


def _how(ended: Exit) -> str:
    return f"signal {ended.signal}" if ended.signal is not None else f"code {ended.code}"
