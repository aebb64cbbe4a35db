"""The minute's look at each agent: load, response time and error rate against the seed's limits, and long silence."""

from collections.abc import Iterator
from typing import Any

from actors.elves import Draft, View
from actors.elves.alarm import Alarm, sound
from projections.agents import Agent
from projections.dispatch import Dispatch
from projections.records import Record
from projections.units import SECOND

# An alert that is raised above 80 points is cleared below 70; the others at four fifths of their limit.
_CLEAR_LOAD = 70 / 80
_CLEAR_SHARE = 0.8
# One failure among fewer ends than these says little.
_ENDS = 5


def watch_agents(dispatch: Dispatch, view: View) -> Iterator[Draft]:
    """Say which agents are overloaded, slow, failing or silent, and which are so no more."""
    for name in sorted(dispatch.agents.agents):
        agent = dispatch.agents.agents[name]
        yield from _loaded(agent, dispatch, view)
        yield from _silent(agent, view)


def _loaded(agent: Agent, dispatch: Dispatch, view: View) -> Iterator[Draft]:
    limits = view.settings.limits
    record = dispatch.records.get(agent.name, Record())
    load = record.load(len(dispatch.held.get(agent.name, ())))
    known = record.done + record.errors >= _ENDS
    facts: dict[str, Any] = {
        "tasks": load.tasks,
        "completion_rate": round(load.completion_rate, 4),
        "response_s": round(load.response_s, 3),
        "error_rate": round(load.error_rate, 4),
        "score": round(load.score, 2),
    }
    for cause, value, limit, clear, text in (
        ("high_load", load.score, limits.high_load, _CLEAR_LOAD, f"has a load score of {load.score:.1f}"),
        (
            "slow_response",
            load.response_s,
            limits.response_time_s,
            _CLEAR_SHARE,
            f"takes {load.response_s:.0f} s for a task",
        ),
        (
            "high_error_rate",
            load.error_rate if known else 0.0,
            limits.error_rate,
            _CLEAR_SHARE,
            f"fails at {load.error_rate:.1%} of its tasks",
        ),
    ):
        there = agent.serves
        alarm = Alarm(
            rule="monitor",
            cause=cause,
            target=agent.name,
            high=there and value > limit,
            low=not there or value < limit * clear,
            reason=cause,
            text=f"{agent.name} {text}, the limit is {limit:g}",
            calm=f"{agent.name} {text}" if there else f"{agent.name} is {agent.state}",
            facts=facts | {"limit": limit},
        )
        yield from sound(alarm, view)


def _silent(agent: Agent, view: View) -> Iterator[Draft]:
    limit = view.settings.limits.silence_s
    heard = max(agent.seen_at, agent.joined_at)
    silent = (view.timeline.now - heard) // SECOND
    there = agent.serves and agent.known
    alarm = Alarm(
        rule="silence",
        cause="silence",
        target=agent.name,
        high=there and heard > 0 and silent > limit,
        low=not there or silent <= limit,
        reason="silence",
        text=f"{agent.name} has not been heard of for {silent} s, the limit is {limit:g} s",
        calm=f"{agent.name} is heard of again" if there else f"{agent.name} is {agent.state}",
        facts={"silent_s": silent, "limit": limit, "state": agent.state},
        severity="critical",
    )
    yield from sound(alarm, view)
