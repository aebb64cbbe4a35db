"""Who may say what: the server permits by subject alone, so what a message says must agree with where it stands."""

from events.agents import AgentJoined, AgentLeft, HandedOver
from events.event import Event, type_of
from events.subjects import LEASE, subject_of
from events.tasks import ResultSalvaged, TaskFailed, TaskFinished, TaskReleased, TaskStarted

# Agents live on other machines and are not trusted with more than their own tasks.
_OF_AGENTS = (AgentJoined, AgentLeft, HandedOver)
_OF_TASKS = (TaskStarted, TaskFinished, TaskFailed, TaskReleased, ResultSalvaged)


def objection(subject: str, source: str, body: Event) -> str:
    """Return why this writer may not say this on this subject; nothing when it may."""
    if subject.startswith(f"log.{source}.") and not source.startswith("agent."):
        return ""
    if subject == LEASE or subject.count(".") < 4 or not subject.startswith("log."):
        return ""
    if not subject.startswith(f"log.{source}."):
        return f"expected the writer of {subject}, got one who says to be {source}"
    if not source.startswith("agent."):
        return ""
    name = source.removeprefix("agent.")
    said = getattr(body, "agent" if isinstance(body, _OF_AGENTS) else "unit", None)
    if not isinstance(body, (*_OF_AGENTS, *_OF_TASKS)) or said != name:
        return f"expected of {source} what an agent may say of itself, got {type_of(body)} of {said}"
    if subject != subject_of(source, body):
        return f"expected {type_of(body)} on {subject_of(source, body)}, got {subject}"
    return ""
