"""The phases of the load migration plan: watched, taken back step by step, full member."""

from collections.abc import Iterator

from events.agents import Phase, PhaseEntered
from events.decisions import Decided, MarkAgent
from events.envelope import Recorded
from events.tasks import TaskFinished
from projections.agency import Agency, key_of


def entered(event: Recorded, agency: Agency) -> Iterator[tuple[str, PhaseEntered]]:
    """Yield the phase that an agent enters with this event, which is folded already."""
    name, decision = "", ""
    phase: Phase = "full"
    match event.body:
        case Decided(action=MarkAgent(state="probation"), target=target) as decided if _counts(
            decided, agency
        ):
            name, phase, decision = target, "stepwise", event.id
        case Decided(action=MarkAgent(state="down"), target=target) as decided if _counts(decided, agency):
            name, phase, decision = target, "monitor", event.id
        case Decided(action=MarkAgent(state="alive"), target=target) as decided if _counts(decided, agency):
            # Back among the full members; who was only suspected had not left its phase.
            agent = agency.dispatch.agents.agents.get(target)
            if agent and agent.phase == "stepwise":
                name, decision = target, event.id
        case TaskFinished() as finished:
            # A new agent is watched until the first result of it that counts.
            name = event.source.removeprefix("agent.")
            agent = agency.dispatch.agents.agents.get(name)
            ended = agency.touched is not None and key_of(finished) not in agency.dispatch.tasks
            if not (agent and ended and agent.phase == "monitor" and agent.state == "alive"):
                return
        case _:
            return
    agent = agency.dispatch.agents.agents.get(name)
    if agent and agent.phase != phase:
        yield name, PhaseEntered(agent=name, phase=phase, decision=decision)


def _counts(decided: Decided, agency: Agency) -> bool:
    return decided.mode == "act" and decided.epoch == agency.timeline.epoch
