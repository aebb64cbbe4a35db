"""Agents as the status page shows them: state, load by the printed score, what they have, what they are worth."""

from typing import Any

from projections.dispatch import Dispatch
from projections.records import SECOND


def agent_rows(dispatch: Dispatch) -> list[dict[str, Any]]:
    """Return one row for each agent in the order of the configuration; times in seconds, None for never."""
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
                "last_seen": agent.seen_at / SECOND if agent.seen_at else None,
                "tasks_processed": record.done,
                "errors": record.errors,
                "skills": list(agent.settings.skills),
                "holds": [task.task for task in dispatch.holds(name)],
            }
        )
    return rows
