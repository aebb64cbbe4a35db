"""The seed's three playbooks as data: which steps, in which order, and by what each is seen to have worked.

The policies and the hands that end a worker follow these lists, or those that settings name instead.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from events.settings import Settings

OWNERS = "task_elder"
NOTIFY = "notify_task_elder"


class Step(Struct, frozen=True, kw_only=True):
    """One step in words: what it does, how long it may take, its post-check.

    A step that is not `usual` is there only where settings name it, one that `must` be there cannot be left out. It
    comes `after` these where they are there too, and of each group in `needs` one stands before it.
    """

    name: str
    does: str
    wait: str
    check: str
    usual: bool = True
    must: bool = False
    after: tuple[str, ...] = ()
    needs: tuple[tuple[str, ...], ...] = ()


PLAYBOOKS: dict[str, tuple[Step, ...]] = {
    "worker_not_responding": (
        Step(
            name=NOTIFY,
            does="tells the channel `task_elder`, without one those of the topic `owner`",
            wait="none",
            check="the notice is in the log, once for each generation and rule; it is sent until the channel takes it",
            usual=False,
        ),
        Step(
            name="check_process_status",
            does="looks whether the process that the decision speaks of is still there, and keeps evidence",
            wait="two seconds at most for the evidence",
            check="its state is written down; of one that is gone the next two steps are passed over",
            must=True,
            after=(NOTIFY,),
        ),
        Step(
            name="send_sigterm",
            does="sends the worker's `stop_signal` to its whole group",
            wait="none",
            check="the signal reached a living process",
            after=(NOTIFY, "check_process_status"),
        ),
        Step(
            name="wait_graceful_shutdown",
            does="waits for the main process to end",
            wait="the worker's `stop_wait_s`",
            check="it ended, and how",
            after=(NOTIFY, "check_process_status"),
            needs=(("send_sigterm",),),
        ),
        Step(
            name="force_kill_if_needed",
            does="kills whatever is left of the generation, children that left its group included",
            wait="50 ms between two looks, 60 looks at most",
            check="no process carries the generation's mark",
            after=(NOTIFY, "check_process_status", "send_sigterm", "wait_graceful_shutdown"),
        ),
        Step(
            name="restart_worker",
            does="starts the next generation",
            wait="until the keeper has started it",
            check="nothing of the old generation is left, and the new process runs",
            must=True,
            after=(NOTIFY, "check_process_status", "send_sigterm"),
            needs=(
                ("wait_graceful_shutdown", "force_kill_if_needed"),
                # A worker that does not obey and may not be killed needs a person.
                ("force_kill_if_needed", NOTIFY),
            ),
        ),
    ),
    "memory_leak_detected": (
        Step(
            name="log_memory_snapshot",
            does="keeps evidence of the memory",
            wait="two seconds at most",
            check="the file and its digest are in the log; the restart follows without it too",
        ),
        Step(
            name="schedule_restart",
            does="restarts the worker at a task edge, once the steps before it are done",
            wait="until it is idle, or half an hour before its limit would be reached",
            check="the checks of the stop, of which none is left out, and the new process runs",
            after=("log_memory_snapshot",),
        ),
        Step(
            name=NOTIFY,
            does="tells the channel `task_elder`, without one those of the topic `leak`; waits for no restart",
            wait="none",
            check="the notice is in the log, once for each generation; it is sent until the channel takes it",
        ),
    ),
    "queue_overflow": (
        Step(
            name="spawn_additional_worker",
            does="leaves it to more processes as long as a pool of the queue may have them, up to its `max`",
            wait="`scale_step_s` between two growths",
            check="each new process runs; every pool has all that it may have before the next step is taken",
        ),
        Step(
            name="redistribute_tasks",
            does="moves waiting tasks to the queue of `overflow_to` that is through sooner",
            wait="while such a queue has room, no further step is taken",
            check="each task waits in one queue, the other or its own; one at least was moved",
            after=("spawn_additional_worker",),
        ),
        Step(
            name="increase_batch_size",
            does="advises half as many tasks again in one hand-over, for handlers that take several",
            wait="for a person's answer",
            check="none: nothing is changed unasked",
            after=("spawn_additional_worker",),
        ),
    ),
}


def usual(playbook: str) -> tuple[str, ...]:
    """Return the steps that are taken unless settings say otherwise."""
    return tuple(step.name for step in PLAYBOOKS[playbook] if step.usual)


def steps_of(settings: Settings, playbook: str) -> tuple[str, ...]:
    """Return the steps in force."""
    given = settings.playbooks or {}
    return given.get(playbook) or usual(playbook)


def unusual(settings: Settings, playbook: str) -> tuple[str, ...]:
    """Return the steps in force where they are not the usual ones, else none."""
    steps = steps_of(settings, playbook)
    return () if steps == usual(playbook) else steps


def missing(playbook: str, steps: Sequence[str]) -> str:
    """Return a step that must be there and is not, or an empty text."""
    return next((step.name for step in PLAYBOOKS[playbook] if step.must and step.name not in steps), "")


def misplaced(playbook: str, steps: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the place of each known step that cannot stand there, with the steps of which one must stand before it."""
    known = {step.name: step for step in PLAYBOOKS[playbook]}
    for place, name in enumerate(steps):
        before, later = steps[:place], steps[place + 1 :]
        if name not in known:
            continue
        late = [(other,) for other in known[name].after if other in later and other not in before]
        lacks = [group for group in known[name].needs if not set(group).intersection(before)]
        if wrong := [*late, *lacks]:
            yield place, wrong[0]
