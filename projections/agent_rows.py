"""Agents as the status page shows them: state, load by the printed score, what they have, what they are worth."""

from typing import Any

from projections.agents import Agent
from projections.dispatch import Dispatch
from projections.records import SECOND


def agent_rows(dispatch: Dispatch, tick: int) -> list[dict[str, Any]]:
    """Return one row for each agent in the order of the configuration; times in seconds, None for never.

    `tick` is the forest time of the last tick in microseconds.
    """
    rows = []
    for name in dispatch.order:
        agent, record, load = dispatch.agents.agents[name], dispatch.record(name), dispatch.load(name)
        ended = record.completed + record.failed > 0
        rows.append(
            {
                "name": name,
                "state": agent.state if agent.known else "revoked",
                "phase": agent.phase,
                "intent": agent.intent,
                "load_score": round(load.score, 1),
                "capacity": round(load.capacity, 1),
                "current_tasks": load.tasks,
                "wip": agent.wip,
                "completion_rate": round(load.completion_rate, 4) if ended else None,
                "response_time_s": round(load.response_s, 3) if ended else None,
                "error_rate": round(load.error_rate, 4) if ended else None,
                "last_seen": _seen(agent, tick) / SECOND or None,
                "tasks_processed": record.done,
                "errors": record.errors,
                "skills": list(agent.settings.skills),
                "holds": [task.task for task in dispatch.holds(name)],
            }
        )
    return rows


def _seen(agent: Agent, tick: int) -> int:
    """Return when an agent was heard of last: one that beats as it should is not written down with every tick."""
    sample = agent.sample
    beats = agent.serves and sample is not None and sample.connected and sample.beat_age_ms == 0
    return max(agent.seen_at, tick) if beats else agent.seen_at
