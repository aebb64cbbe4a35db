"""Where each event is written: subjects name the writer, because NATS permits by subject.

`log.<role>.<writer>.<kind>.<target>`; tasks `log.<role>.<writer>.task.<queue>.<id>.<event>[.<attempt>]`, a submission
`….submitted` or, of another class than middle, `….submitted.high` and `….submitted.low`; leadership `log.lease`.
An assignment is `log.<role>.<writer>.decided.<elf>.<agent>`: reading that is how the agent gets its work. A salvaged
result stands outside its task's prefix: it is written without an expectation and must not move the last position that
others compare with.
"""

import re
from typing import Literal

from events.agents import (
    AgentAdded,
    AgentIntentSet,
    AgentJoined,
    AgentLeft,
    AgentRevoked,
    HandedOver,
    PhaseEntered,
)
from events.controls import AlertAcknowledged, AlertSilenced, ModeSet
from events.decisions import AssignTask, Decided
from events.event import Event, type_of
from events.jobs import (
    JobFinished,
    Notified,
    PublicationOpened,
    PublicationRefused,
    PublicationRequested,
)
from events.observations import (
    DeciderResumed,
    EvidenceTaken,
    IntentSet,
    LeaseTaken,
    LogRotated,
    ManagedFileRepaired,
    ManagedFileSeen,
    OrphanReaped,
    Quarantined,
    WorkerExited,
    WorkerReady,
    WorkerSpoke,
)
from events.outcomes import (
    Checkpointed,
    EffectFailed,
    EffectStarted,
    EffectVerified,
    StepDone,
    WorkerStarted,
    WorkerStartOrdered,
)
from events.proposals import KnowledgeAdded, ProposalApproved, ProposalRejected
from events.reminders import ReminderAdded, ReminderRemoved, RequestAnswered
from events.tasks import (
    ResultSalvaged,
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

Role = Literal["node", "worker", "agent", "client", "operator"]

LOG = "LOG"
LEASE = "log.lease"
EVERYTHING = "log.>"

CLASSES = ("high", "middle", "low")
"""The classes of a pull queue, in the order in which runners ask them."""
MIDDLE = CLASSES.index("middle")
# No prefix of another consumer's name begins like these, and no name of a queue can make one of them another.
_CONSUMERS = ("qh_", "q_", "ql_")

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


def token(text: str, what: str = "name") -> str:
    """Return `text` if it may stand in a subject. Raises ValueError that says what is allowed."""
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"expected {what} of 1 to 64 letters, digits, '_' or '-', got {text!r}")
    return text


def task_prefix(source: str, queue: str, task: str) -> str:
    """Return the subject of a task's events by one writer, without the event."""
    return f"log.{source}.task.{queue}.{task}"


def task_filter(queue: str, task: str) -> str:
    """Return the filter over all events of one task, whoever wrote them: the compare-and-set filter."""
    return f"log.*.*.task.{queue}.{task}.>"


def assignments(agent: str) -> str:
    """Return the filter of an agent's consumer: what it was assigned."""
    return f"log.node.*.decided.*.{agent}"


def class_of(priority: str) -> int:
    """Return the class of a priority, 0 for the first one asked; an unknown one counts as middle."""
    return CLASSES.index(priority) if priority in CLASSES else MIDDLE


def queue_consumer(queue: str, rank: int = MIDDLE) -> str:
    """Return the name of the consumer of one class of a queue."""
    return f"{_CONSUMERS[rank]}{queue}"


def class_served(consumer: str) -> int:
    """Return the class that a queue's consumer hands out, from its name."""
    return next((rank for rank, prefix in enumerate(_CONSUMERS) if consumer.startswith(prefix)), MIDDLE)


def queue_filter(queue: str, rank: int = MIDDLE) -> str:
    """Return the filter of a queue's consumer: the submissions of one class."""
    return f"log.*.*.task.{queue}.*.{_submitted(rank)}"


def _submitted(rank: int) -> str:
    """The middle class has the subject that all submissions had before there were classes."""
    return "submitted" if rank == MIDDLE else f"submitted.{CLASSES[rank]}"


def subject_of(source: str, event: Event) -> str:
    """Return the subject that `source` (`<role>.<writer>`) writes this event to."""
    match event:
        case LeaseTaken():
            return LEASE
        case TaskSubmitted():
            return f"{task_prefix(source, event.queue, event.task)}.{_submitted(class_of(event.priority))}"
        case TaskStarted():
            return f"{task_prefix(source, event.queue, event.task)}.started.{event.attempt}"
        case TaskFailed():
            return f"{task_prefix(source, event.queue, event.task)}.failed.{event.attempt}"
        case TaskReleased():
            return f"{task_prefix(source, event.queue, event.task)}.released.{event.attempt}"
        case TaskFinished():
            return f"{task_prefix(source, event.queue, event.task)}.finished"
        case TaskDied():
            return f"{task_prefix(source, event.queue, event.task)}.died"
        case TaskDropped():
            return f"{task_prefix(source, event.queue, event.task)}.dropped"
        case TaskCancelled():
            return f"{task_prefix(source, event.queue, event.task)}.cancelled"
        case TaskMoved():
            return f"{task_prefix(source, event.queue, event.task)}.moved"
        case Decided(action=AssignTask(agent=agent)):
            return f"log.{source}.decided.{event.elf}.{agent}"
        case Decided():
            return f"log.{source}.decided.{event.elf}"
        case _:
            return f"log.{source}.{type_of(event)}.{target_of(event)}"


def target_of(event: Event) -> str:
    """Return what the event is about, as one token: a unit, a queue, a position or the node."""
    match event:
        case (
            WorkerExited()
            | WorkerReady()
            | WorkerSpoke()
            | WorkerStarted()
            | WorkerStartOrdered()
            | LogRotated()
        ):
            return event.unit
        case EvidenceTaken():
            return event.unit
        case ManagedFileSeen() | ManagedFileRepaired():
            return event.worker
        case EffectStarted() | EffectVerified() | EffectFailed() | StepDone() | IntentSet():
            return event.target
        case Decided():
            return event.target
        case Checkpointed() | DeciderResumed():
            return event.elf
        case Quarantined():
            return str(event.position)
        case OrphanReaped():
            return str(event.pid)
        case ReminderAdded() | ReminderRemoved():
            return event.reminder
        case RequestAnswered():
            return event.unit
        case JobFinished():
            return event.job
        case Notified():
            return event.channel
        case ProposalApproved() | ProposalRejected() | ModeSet():
            return event.elf
        case AlertAcknowledged() | AlertSilenced():
            return event.alert
        case KnowledgeAdded():
            return event.record
        case PublicationRequested() | PublicationOpened() | PublicationRefused():
            return event.key
        case AgentAdded() | AgentRevoked() | AgentJoined() | AgentLeft() | AgentIntentSet() | PhaseEntered():
            return event.agent
        case (
            TaskSubmitted()
            | TaskStarted()
            | TaskFinished()
            | TaskFailed()
            | TaskReleased()
            | TaskDied()
            | TaskDropped()
            | TaskCancelled()
            | TaskMoved()
            | ResultSalvaged()
            | HandedOver()
        ):
            return event.task
        case _:
            return "node"


def is_decision(subject: str) -> bool:
    """Tell from the subject alone whether a message is a decision."""
    return ".decided." in subject
