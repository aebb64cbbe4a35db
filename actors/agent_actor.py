"""One agent as the node acts on it: pings, restarts, canaries, each from its order to its outcome in the log."""

import logging
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from actors.agent_line import Line, Ran, Reached
from actors.agent_words import Canaried, Order, Ponged
from actors.canary import Mark, before, verdict
from actors.clock import Clock
from actors.config import Agent, Canary
from actors.journal import Journal
from actors.runtime import Actor, Watcher, tell
from events.outcomes import EffectFailed, EffectStarted, EffectVerified, StepDone
from events.settings import Limits

_log = logging.getLogger("elf.agents")


class Ping(Struct, frozen=True):
    """Ask the program for an answer."""

    decision: str
    number: int


class Restart(Struct, frozen=True):
    """Run the restart command or ask the owner, then wait until the program joins."""

    decision: str


class Verify(Struct, frozen=True):
    """Have the canary done and check what comes of it."""

    decision: str


class Joined(Struct, frozen=True):
    """The program is there."""

    run: str


class _Late(Struct, frozen=True):
    decision: str


class _Sung(Struct, frozen=True):
    decision: str
    canary: Canary
    there: Mark
    answer: Reached


class AgentActor(Actor):
    """Carries out one act after the other; an act without an outcome in time has failed."""

    def __init__(
        self,
        watcher: Watcher,
        name: str,
        journal: Journal,
        clock: Clock,
        line: Line,
        plan: Callable[[], Agent | None],
        limits: Callable[[], Limits],
    ) -> None:
        super().__init__(f"agent {name}", watcher)
        self._agent = name
        self._journal = journal
        self._clock = clock
        self._line = line
        self._plan = plan
        self._limits = limits
        self._restarting = ""
        self._began = 0.0

    def handle(self, message: Any) -> Any:
        """Take orders and what came of them."""
        match message:
            case Ping(decision=decision, number=number):
                self._start(decision)
                self._ask(decision, Order(do="ping", number=number), self._ping_s())
            case Verify(decision=decision):
                self._start(decision)
                self._verify(decision)
            case Restart(decision=decision):
                self._start(decision)
                self._restart(decision)
            case Joined(run=run):
                self._joined(run)
            case Ran():
                self._ran(message)
            case _Sung():
                self._judge(message)
            case _Late(decision=decision):
                if decision == self._restarting:
                    self._restarting = ""
                    limit = self._limits().agent_restart_s
                    self._failed(decision, f"expected {self._agent} to join within {limit:g} s, got nothing")
            case _:
                return super().handle(message)
        return None

    def _start(self, decision: str) -> None:
        self._began = self._clock.monotonic()
        self._journal.write(EffectStarted(decision=decision, target=self._agent), cause=decision)

    def _ping_s(self) -> float:
        return min(5.0, self._limits().agent_ping_s)

    # --- ping ------------------------------------------------------------------------------------------------

    def _ask(self, decision: str, order: Order, seconds: float) -> None:
        def answered(answer: Reached) -> None:
            self._pinged(decision, order, answer)

        self._line.request(self._agent, order, seconds, answered)

    def _pinged(self, decision: str, order: Order, answer: Reached) -> None:
        """On the bus: judge an answer and write it down."""
        if answer.error:
            self._failed(decision, answer.error)
            return
        try:
            said = msgspec.json.decode(answer.data, type=Ponged)
        except msgspec.DecodeError as problem:
            self._failed(decision, f"expected an answer to ping {order.number}, got: {problem}")
            return
        if (said.agent, said.answers) != (self._agent, order.number):
            got = f"ping {said.answers} of {said.agent}"
            self._failed(decision, f"expected an answer to ping {order.number} of {self._agent}, got {got}")
            return
        stopped = [one.task for one in said.tasks if one.process in ("T", "t")]
        more = f"; stopped: {', '.join(stopped)}" if stopped else ""
        self._verified(decision, f"answered in {answer.took_ms} ms, holds {said.holds}{more}")

    # --- canary ------------------------------------------------------------------------------------------------

    def _verify(self, decision: str) -> None:
        plan = self._plan()
        canary = plan.canary if plan else None
        if canary is None:
            self._ask(decision, Order(do="ping"), self._ping_s())
            return
        there = before(canary)
        order = Order(do="canary", payload=canary.payload, timeout_s=canary.timeout_s)

        ref = self.actor_ref

        def answered(answer: Reached) -> None:
            _pass(ref, _Sung(decision, canary, there, answer))

        self._line.request(self._agent, order, canary.timeout_s + 5.0, answered)

    def _judge(self, sung: _Sung) -> None:
        """Judge a canary; not on the bus, for its artefact may lie on a disk that does not answer."""
        decision, answer = sung.decision, sung.answer
        if answer.error:
            self._failed(decision, answer.error, "canary")
            return
        try:
            said = msgspec.json.decode(answer.data, type=Canaried)
        except msgspec.DecodeError as problem:
            self._failed(decision, f"expected the answer of a canary, got: {problem}", "canary")
            return
        wrong = verdict(sung.canary, said, sung.there)
        done = StepDone(
            decision=decision,
            target=self._agent,
            step="canary",
            ok=not wrong,
            detail=wrong,
            took_ms=answer.took_ms,
        )
        self._journal.write(done, cause=decision)
        if wrong:
            self._failed(decision, wrong, "canary")
        else:
            self._verified(decision, f"the canary's answer is right, in {answer.took_ms} ms")

    # --- restart ---------------------------------------------------------------------------------------------------

    def _restart(self, decision: str) -> None:
        limit = self._limits().agent_restart_s
        self._restarting = decision
        ref = self.actor_ref
        self._clock.later(limit, lambda: _pass(ref, _Late(decision)))
        plan = self._plan()
        if plan is None or not plan.restart:
            owner = plan.owner if plan else ""
            whom = owner or "its owner"
            said = "agent %s is down and has no restart command: %s, please start it"
            _log.warning(said, self._agent, whom, extra={"decision": decision})
            detail = f"no restart command; asked {whom} to start it"
            self._step(decision, "ask_owner", True, detail)
            return
        self._line.run(plan.restart, self._agent, limit, lambda ran: _pass(ref, ran), decision)

    def _ran(self, ran: Ran) -> None:
        if ran.decision != self._restarting:
            return
        self._step(ran.decision, "restart_command", not ran.error, ran.error or "it ended well")
        if ran.error:
            self._restarting = ""
            self._failed(ran.decision, ran.error, "restart_command")

    def _joined(self, run: str) -> None:
        decision, self._restarting = self._restarting, ""
        if decision:
            self._verified(decision, f"run {run} joined")

    # --- outcomes --------------------------------------------------------------------------------------------------

    def _step(self, decision: str, step: str, ok: bool, detail: str) -> None:
        took = round((self._clock.monotonic() - self._began) * 1000)
        done = StepDone(decision=decision, target=self._agent, step=step, ok=ok, detail=detail, took_ms=took)
        self._journal.write(done, cause=decision)

    def _verified(self, decision: str, detail: str) -> None:
        said = EffectVerified(decision=decision, target=self._agent, detail=detail)
        self._journal.write(said, cause=decision)

    def _failed(self, decision: str, error: str, step: str = "") -> None:
        said = EffectFailed(decision=decision, target=self._agent, error=error, step=step)
        self._journal.write(said, cause=decision)


def _pass(ref: Any, message: object) -> None:
    tell(ref, message)
