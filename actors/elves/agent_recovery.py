"""The way back of a lost agent: restart, canary, probation, membership; each failure makes the next wait longer."""

from collections.abc import Iterator
from typing import Any

from actors.elves import Draft, View
from events.decisions import AnyAction, MarkAgent, RestartAgent, VerifyAgent
from projections.agents import Agent
from projections.care import Care, Record, Trial
from projections.units import SECOND

AGENT_DOWN = "agent_down"
# An act on an agent from which nothing comes disturbs nobody.
PROVEN_COST = 1
# One of so many agents may be on probation at a time.
_PER = 3
_PROBATION_WIP = 2
# An agent that was lost for one of these is still there: to hear of it proves nothing.
_STILL_THERE = ("no_progress", "canary_failed")


def recovery(care: Care, view: View) -> Iterator[Draft]:
    """Say what should be done about agents that were lost, and about those that have proven themselves."""
    agents = [care.agents.agents[name] for name in sorted(care.agents.agents)]
    many = sum(agent.serves for agent in agents)
    there = ("probation", "suspect", "probing", "paused")
    places = -(-many // _PER) - sum(not agent.member and agent.state in there for agent in agents)
    for agent in agents:
        record = care.record(agent.name)
        match agent.state:
            case _ if not agent.serves:
                continue
            case "down":
                yield from _down(agent, record, view)
            case "recovering":
                for one in _recovering(agent, record, places, care, view):
                    places -= isinstance(one.action, MarkAgent) and one.action.state == "probation"
                    yield one
            case "probation":
                yield from _probation(agent, record, view)
            case "alive" if agent.phase == "monitor" and not record.proven:
                if record.verified >= view.settings.limits.agent_probation_tasks:
                    facts = {"verified": record.verified}
                    text = f"has done {record.verified} tasks: a full member"
                    yield draft("promote", agent, MarkAgent(state="alive"), "proven", text, facts)
            case _:
                continue


def _down(agent: Agent, record: Record, view: View) -> Iterator[Draft]:
    if view.timeline.now < agent.until:
        return
    facts = {"cause": record.cause, "failures": record.failures}
    if _back(agent, record):
        yield draft("recover", agent, MarkAgent(state="recovering"), "came_back", "is there again", facts)
        yield canary(agent, "came_back", "is asked to prove that it works", facts)
    else:
        yield draft("recover", agent, MarkAgent(state="recovering"), "lost", "is to be brought back", facts)
        yield _restart(agent, facts)


def _recovering(agent: Agent, record: Record, places: int, care: Care, view: View) -> Iterator[Draft]:
    limits = view.settings.limits
    facts: dict[str, Any] = {"cause": record.cause, "failures": record.failures}
    unproven = failure(record.canary, limits.agent_verify_s, view)
    unstarted = failure(record.restart, limits.agent_restart_s, view)
    if record.canary.ok():
        if care.silent(agent) > care.patience(agent, view.settings):
            text = "went silent again before it was taken back"
            yield fallen(agent, record, "verify", "lost_again", text, facts, view)
        elif places > 0:
            action = MarkAgent(state="probation", wip=1)
            yield draft(
                "probation", agent, action, "canary_passed", "takes simple tasks, one at a time", facts
            )
    elif unproven:
        text = f"has not done its canary: {unproven}"
        yield fallen(agent, record, "verify", "canary_failed", text, facts | {"error": unproven}, view)
    elif record.canary.decision:
        return
    elif record.restart.ok() or _back(agent, record):
        yield canary(agent, "restarted", "is asked to prove that it works", facts)
    elif unstarted:
        text = f"could not be brought back: {unstarted}"
        yield fallen(agent, record, "restart", "restart_failed", text, facts | {"error": unstarted}, view)
    elif not record.restart.decision:
        yield _restart(agent, facts)


def _probation(agent: Agent, record: Record, view: View) -> Iterator[Draft]:
    limits = view.settings.limits
    clean = view.timeline.now - record.taken_back_at
    facts = {"verified": record.verified, "failed": record.failed, "clean_s": clean // SECOND}
    if record.failed:
        text = "has failed a task on probation"
        yield fallen(agent, record, "probation", "task_failed", text, facts, view)
    elif record.verified >= limits.agent_probation_tasks or clean >= limits.agent_probation_s * SECOND:
        text = f"has done {record.verified} tasks without a failure: a full member again"
        yield draft("promote", agent, MarkAgent(state="alive"), "probation_passed", text, facts)
    elif agent.limit < earned(agent, record):
        action = MarkAgent(state="probation", wip=earned(agent, record))
        yield draft(
            "probation", agent, action, "task_verified", f"may have {action.wip} tasks at once", facts
        )


def _back(agent: Agent, record: Record) -> bool:
    """Tell whether the agent is there again; heard of it must be what was lost, or its program began anew."""
    if agent.joined_at >= agent.since:
        return True
    connected = agent.sample is not None and agent.sample.connected
    return record.cause not in _STILL_THERE and connected and record.heard_at > agent.since


def _restart(agent: Agent, facts: dict[str, Any]) -> Draft:
    how = "by its command" if agent.settings.restarts else f"by its owner {agent.settings.owner}".rstrip()
    return draft("restart", agent, RestartAgent(), "lost", f"is restarted {how}", facts, PROVEN_COST)


def canary(agent: Agent, reason: str, text: str, facts: dict[str, Any]) -> Draft:
    """Return the draft of a canary."""
    return draft("verify", agent, VerifyAgent(), reason, text, facts)


def earned(agent: Agent, record: Record) -> int:
    """Return how many tasks an agent on probation may have: one more for each verified one, two or its own limit."""
    return max(1, min(1 + record.verified, _PROBATION_WIP, agent.settings.wip))


def known_again(
    agent: Agent, record: Record, rule: str, reason: str, text: str, facts: dict[str, Any]
) -> Draft:
    """Return the draft that puts an agent back to where it stood before it was suspected or paused."""
    if agent.intent == "drain":
        action = MarkAgent(state="paused")
    elif agent.member:
        action = MarkAgent(state="alive")
    else:
        action = MarkAgent(state="probation", wip=earned(agent, record))
    return draft(rule, agent, action, reason, text, facts)


def fallen(
    agent: Agent, record: Record, rule: str, reason: str, text: str, facts: dict[str, Any], view: View
) -> Draft:
    """Return the draft of a failed recovery: down, and left alone for longer each time."""
    waits = view.settings.limits.agent_cooldown_s or (0.0,)
    wait = waits[min(record.failures, len(waits) - 1)]
    until = view.timeline.now + int(wait * SECOND)
    action = MarkAgent(state="down", until=until)
    return draft(rule, agent, action, reason, f"{text}; next try in {wait:g} s", facts, PROVEN_COST)


def failure(trial: Trial, limit_s: float, view: View) -> str:
    """Return why a restart or canary failed, empty while it may pass; a lost outcome is waited for twice as long."""
    if not trial.decision or trial.passed:
        return ""
    if trial.passed is False:
        return trial.error or "no reason given"
    return "" if trial.open(view.timeline.now, int(2 * limit_s * SECOND)) else "no outcome was written"


def draft(
    rule: str,
    agent: Agent,
    action: AnyAction,
    reason: str,
    text: str,
    facts: dict[str, Any],
    cost: int = 0,
) -> Draft:
    """Return a draft about one agent."""
    return Draft(
        rule=rule,
        target=agent.name,
        action=action,
        reason=reason,
        text=f"{agent.name} {text}",
        inputs={"state": agent.state, **facts},
        cost=cost,
    )
