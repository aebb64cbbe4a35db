"""The seed's five steps for a worker that must end, each with its own post-check.

check_process_status, send_sigterm, wait_graceful_shutdown, force_kill_if_needed, restart_worker.
"""

import signal
from typing import TYPE_CHECKING

from actors.worker_orders import End

if TYPE_CHECKING:
    from actors.worker import WorkerActor

_KILL_CHECK_S = 0.05
_KILL_TRIES = 60
_DEFAULT_WAIT_S = 10.0


class Ending:
    """One unit on its way out, in its actor's thread; success means that nobody of the generation is left."""

    def __init__(self, worker: "WorkerActor", order: End) -> None:
        self._worker = worker
        self._order = order
        self._tries = 0
        self._last = False

    def hurry(self) -> None:
        """Do not wait for a task edge, start nothing afterwards: the node ends."""
        self._last = True
        if self._worker.phase == "draining":
            self._terminate()

    def hurry_on(self) -> None:
        """Do not wait for a task edge any longer; all else stays as ordered."""
        if self._worker.phase == "draining":
            self._terminate()

    def check(self) -> None:
        """Step 1, check_process_status: is the process that the decision speaks of still there?"""
        worker, order = self._worker, self._order
        state = worker.processes.state(worker.identity) if worker.identity else "X"
        alive = bool(worker.process and worker.process.alive() and worker.generation == order.generation)
        if alive and order.evidence:
            worker.keep_evidence("not_responding")
        worker.done("check_process_status", True, f"state {state if alive else 'gone'}")
        if not alive:
            self._kill()
        elif order.drain_s > 0 and not self._last:
            worker.phase = "draining"
            plan = worker.plan()
            worker.ask_to_drain(plan.pool if plan else worker.name, worker.name)
            worker.wait(order.drain_s, self._terminate)
        else:
            self._terminate()

    def _terminate(self) -> None:
        """Step 2, send_sigterm: the declared stop signal to the whole group."""
        worker = self._worker
        plan = worker.plan()
        number = plan.stop_signal if plan else signal.SIGTERM
        if worker.phase == "draining":
            worker.done("drain", False, "still busy when its time was up")
        worker.phase = "ending"
        sent = bool(worker.process and worker.process.signal_group(number, worker.marker(worker.generation)))
        if worker.process:
            # A stopped process cannot obey before it runs.
            worker.process.signal_group(signal.SIGCONT)
        worker.done("send_sigterm", sent, signal.Signals(number).name)
        worker.wait(plan.stop_wait_s if plan else _DEFAULT_WAIT_S, self._waited)

    def _waited(self) -> None:
        """Step 3 ends without an exit: the process had its declared time."""
        self._worker.done("wait_graceful_shutdown", False, "still alive after its declared wait")
        self._kill()

    def exited(self, how: str) -> None:
        """Hear that the main process is gone."""
        worker = self._worker
        if worker.phase == "killing":
            self._kill_again()
            return
        worker.done(
            "drain" if worker.phase == "draining" else "wait_graceful_shutdown", True, f"ended with {how}"
        )
        self._kill()

    def _kill(self) -> None:
        """Step 4, force_kill_if_needed: everything of the generation, until nobody is left."""
        self._worker.phase = "killing"
        self._kill_again()

    def _kill_again(self) -> None:
        worker, generation = self._worker, self._order.generation
        ours = worker.identity if generation == worker.generation else None
        left = worker.processes.members(worker.marker(generation), ours)
        if not left:
            worker.done("force_kill_if_needed", True, "no process of the generation is left")
            self._gone()
        elif self._tries >= _KILL_TRIES:
            worker.give_up(f"pids {left} do not end", "force_kill_if_needed")
        else:
            self._tries += 1
            worker.processes.sweep(worker.marker(generation), signal.SIGKILL, ours)
            worker.wait(_KILL_CHECK_S, self._kill_again)

    def _gone(self) -> None:
        """Step 5, restart_worker, or the end."""
        self._worker.phase = "absent"
        if self._order.again and self._last:
            self._worker.give_up("the node ends", "restart_worker")
        elif self._order.again:
            self._worker.order_start(self._order.generation + 1)
        else:
            self._worker.verified("no process is left")
