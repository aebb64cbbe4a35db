"""Ends a worker by the steps of a playbook, each with its own post-check: the usual five unless others are ordered."""

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from actors.elves.playbooks import usual
from actors.process import Identity
from actors.worker_orders import End

if TYPE_CHECKING:
    from actors.worker import WorkerActor

_KILL_CHECK_S = 0.05
_KILL_TRIES = 60
_DEFAULT_WAIT_S = 10.0
_OF_THE_LIVING = ("send_sigterm", "wait_graceful_shutdown")


class Ending:
    """One unit on its way out, in its actor's thread; success means that nobody of the generation is left."""

    def __init__(self, worker: "WorkerActor", order: End) -> None:
        self._worker = worker
        self._order = order
        self._steps = iter(order.steps or usual("worker_not_responding"))
        self._do: dict[str, Callable[[], None]] = {
            "check_process_status": self._check,
            "send_sigterm": self._terminate,
            "wait_graceful_shutdown": self._wait,
            "force_kill_if_needed": self._kill,
            "restart_worker": self._restart,
        }
        self._over = False
        self._look: Callable[[], None] | None = None
        self._tries = 0
        self._last = False

    def begin(self) -> None:
        """Take the first step."""
        self._go_on()

    def hurry(self) -> None:
        """Do not wait for a task edge, start nothing afterwards: the node ends."""
        self._last = True
        self.hurry_on()

    def hurry_on(self) -> None:
        """Do not wait for a task edge any longer; all else stays as ordered."""
        if self._worker.phase == "draining":
            self._drained()

    def exited(self, how: str) -> None:
        """Hear that the main process is gone."""
        worker = self._worker
        self._over = True
        if self._look:
            self._look()
            return
        worker.done(
            "drain" if worker.phase == "draining" else "wait_graceful_shutdown", True, f"ended with {how}"
        )
        self._go_on()

    def _go_on(self) -> None:
        """Take the next step; those that need a living process are passed over once it is gone."""
        self._do[next(step for step in self._steps if not (self._over and step in _OF_THE_LIVING))]()

    def _check(self) -> None:
        """Is the process that the decision speaks of still there? One that drains is given its time here."""
        worker, order = self._worker, self._order
        state = worker.processes.state(worker.identity) if worker.identity else "X"
        alive = bool(worker.process and worker.process.alive() and worker.generation == order.generation)
        if alive and order.evidence:
            worker.keep_evidence("not_responding")
        worker.done("check_process_status", True, f"state {state if alive else 'gone'}")
        self._over = not alive
        if alive and order.drain_s > 0 and not self._last:
            worker.phase = "draining"
            plan = worker.plan()
            worker.ask_to_drain(plan.pool if plan else worker.name, worker.name)
            worker.wait(order.drain_s, self._drained)
        else:
            self._go_on()

    def _drained(self) -> None:
        self._worker.done("drain", False, "still busy when its time was up")
        self._worker.phase = "ending"
        self._go_on()

    def _terminate(self) -> None:
        """The declared stop signal to the whole group."""
        worker = self._worker
        plan = worker.plan()
        number = plan.stop_signal if plan else signal.SIGTERM
        worker.phase = "ending"
        sent = bool(worker.process and worker.process.signal_group(number, worker.marker(worker.generation)))
        if worker.process:
            # A stopped process cannot obey before it runs.
            worker.process.signal_group(signal.SIGCONT)
        worker.done("send_sigterm", sent, signal.Signals(number).name)
        self._go_on()

    def _wait(self) -> None:
        plan = self._worker.plan()
        self._worker.wait(plan.stop_wait_s if plan else _DEFAULT_WAIT_S, self._waited)

    def _waited(self) -> None:
        """Time is up without an exit: the process had its declared time."""
        self._worker.done("wait_graceful_shutdown", False, "still alive after its declared wait")
        self._go_on()

    def _kill(self) -> None:
        """Everything of the generation, until nobody is left."""
        self._worker.phase = "killing"
        self._look = self._kill_again
        self._kill_again()

    def _kill_again(self) -> None:
        worker = self._worker
        left = self._left()
        if not left:
            worker.done("force_kill_if_needed", True, "no process of the generation is left")
            self._go_on()
        elif self._tries >= _KILL_TRIES:
            worker.give_up(f"pids {left} do not end", "force_kill_if_needed")
        else:
            worker.processes.sweep(worker.marker(self._order.generation), signal.SIGKILL, self._ours())
            self._look_again()

    def _look_again(self) -> None:
        self._tries += 1
        if self._look:
            self._worker.wait(_KILL_CHECK_S, self._look)

    def _left(self) -> list[int]:
        return self._worker.processes.members(self._worker.marker(self._order.generation), self._ours())

    def _ours(self) -> Identity | None:
        return self._worker.identity if self._order.generation == self._worker.generation else None

    def _restart(self) -> None:
        """The next generation, or the end; never beside what is left of this one."""
        worker, self._look = self._worker, self._restart
        left = self._left()
        if left and self._tries < _KILL_TRIES:
            # Children that were told to end may need a moment longer than their parent.
            worker.phase = "killing"
            self._look_again()
            return
        if left:
            worker.give_up(f"pids {left} are left, and no step of the playbook kills them", "restart_worker")
            return
        worker.phase = "absent"
        if self._order.again and self._last:
            worker.give_up("the node ends", "restart_worker")
        elif self._order.again:
            worker.order_start(self._order.generation + 1)
        else:
            worker.verified("no process is left")
