"""Care of remote agents: who is suspect, who does not answer, who is down. Recovery is next door.

ALIVE -> SUSPECT -> PROBING -> DOWN -> RECOVERING -> PROBATION -> ALIVE; PAUSED and RETIRED are people's words.
"""

from collections.abc import Iterator
from typing import Any

from actors.elves import Draft, View
from actors.elves.agent_brake import shared_cause
from actors.elves.agent_recovery import (
    AGENT_DOWN,
    PROVEN_COST,
    canary,
    draft,
    failure,
    fallen,
    known_again,
    recovery,
)
from actors.elves.alarm import Alarm, sound
from events.decisions import MarkAgent, PingAgent
from projections.agents import Agent
from projections.care import Care, Record
from projections.units import SECOND

# One that answers may only be slow.
UNPROVEN_COST = 25
_WELL = ("alive", "probation", "paused")
# A new node, and a new program, are given so long to connect before a closed connection means something.
_CONNECT = 10 * SECOND


def agent_care(care: Care, view: View) -> Iterator[Draft]:
    """Say what should be done about each agent."""
    # By name: a snapshot keeps no other order.
    agents = [care.agents.agents[name] for name in sorted(care.agents.agents)]
    many = sum(agent.serves for agent in agents)
    suspected, taken = list[str](), 0
    drafts = list[Draft]()
    for agent in agents:
        found = list(_one(agent, many, taken, care, view))
        taken += sum(one.reason == "no_progress" for one in found)
        if agent.state in _WELL and any(one.rule == "suspect" for one in found):
            suspected.append(agent.name)
        drafts.extend(found)
    yield from shared_cause(suspected, many, care, view)
    yield from drafts
    yield from recovery(care, view)


def agent_times(care: Care, view: View) -> Iterator[int]:
    """Yield the forest times at which time alone changes what is to be done about an agent."""
    limits = view.settings.limits
    for agent in care.agents.agents.values():
        record = care.record(agent.name)
        if agent.state == "probing":
            yield record.ping.at + _ping_wait(record, view)
        elif agent.state == "down":
            yield agent.until
        elif agent.state in ("recovering", "suspect"):
            for trial, limit in (
                (record.restart, limits.agent_restart_s),
                (record.canary, limits.agent_verify_s),
            ):
                if trial.decision and trial.passed is None:
                    yield trial.at + int(2 * limit * SECOND)
        elif agent.state == "probation":
            yield record.taken_back_at + int(limits.agent_probation_s * SECOND)


def _one(agent: Agent, many: int, taken: int, care: Care, view: View) -> Iterator[Draft]:
    record = care.record(agent.name)
    yield from _alert(agent, view)
    if not agent.serves:
        return
    match agent.state:
        case "alive" | "probation" | "paused":
            trouble = _trouble(agent, care, view)
            if trouble:
                yield from _suspect(agent, trouble)
            elif record.hollow and agent.state != "probation":
                text = f"has done {record.hollow} faster than one in a hundred and has nothing to show for it"
                facts: dict[str, Any] = {"task": record.hollow}
                yield draft("black_hole", agent, MarkAgent(state="suspect"), "black_hole", text, facts)
                yield canary(agent, "black_hole", "is asked to prove that it works", facts)
            elif agent.intent == "drain" and agent.state != "paused":
                yield draft("pause", agent, MarkAgent(state="paused"), "ordered", "takes no more tasks", {})
            elif agent.intent == "run" and agent.state == "paused":
                yield known_again(agent, record, "pause", "ordered", "takes tasks again", {})
        case "suspect":
            yield from _suspicious(agent, many, taken, care, view)
        case "probing":
            yield from _probing(agent, many, care, view)
        case _:
            return


def _trouble(agent: Agent, care: Care, view: View) -> tuple[str, str, dict[str, Any]] | None:
    """Return the reason, words and facts of a suspicion. Without a sample nothing is known, and nothing follows."""
    sample = agent.sample
    if sample is None:
        return None
    silent, patience = care.silent(agent), care.patience(agent, view.settings)
    stall, _ = care.stall_limits(agent, view.settings)
    facts: dict[str, Any] = {
        "silent_ms": silent // 1000,
        "patience_ms": patience // 1000,
        "stall_ms": sample.stall_ms,
        "stall_limit_ms": stall // 1000,
        "holds": sample.holds,
        "connected": sample.connected,
        "lag_ms": care.brake.lag_ms,
    }
    since_answer = care.tick_at - care.record(agent.name).answered_at
    connecting = care.tick_at - max(agent.joined_at, care.epoch_at) < _CONNECT
    if (
        not sample.connected
        and not connecting
        and since_answer > view.settings.limits.agent_suspect_s * SECOND
    ):
        return "closed", "has lost its connection", facts
    if silent > patience:
        return "no_beat", f"has given no beat for {silent // SECOND} s", facts
    if sample.holds and sample.stall_ms * 1000 > stall:
        return "stalled", f"holds a task that has not moved for {sample.stall_ms // 1000} s", facts
    return None


def _suspect(agent: Agent, trouble: tuple[str, str, dict[str, Any]]) -> Iterator[Draft]:
    reason, text, facts = trouble
    yield draft("suspect", agent, MarkAgent(state="suspect"), reason, text, facts)
    yield from _probe(agent, facts)


def _probe(agent: Agent, facts: dict[str, Any]) -> Iterator[Draft]:
    yield draft(
        "suspect", agent, MarkAgent(state="probing"), "suspect", "is asked whether it is there", facts
    )
    yield draft("ping", agent, PingAgent(number=1), "suspect", "is pinged, number 1", facts)


def _suspicious(agent: Agent, many: int, taken: int, care: Care, view: View) -> Iterator[Draft]:
    """A suspect that answers: its task may move again, it may prove itself, or the time is up."""
    record = care.record(agent.name)
    limits = view.settings.limits
    trouble = _trouble(agent, care, view)
    if trouble and trouble[0] != "stalled":
        yield from _probe(agent, trouble[2])
        return
    if record.cause == "black_hole":
        error = failure(record.canary, limits.agent_verify_s, view)
        if record.canary.ok():
            yield known_again(agent, record, "verify", "canary_passed", "has done its canary", {})
        elif error:
            facts: dict[str, Any] = {"error": error}
            yield fallen(
                agent, record, "verify", "canary_failed", f"has not done its canary: {error}", facts, view
            )
        return
    if trouble is None:
        facts = {"stall_ms": agent.sample.stall_ms if agent.sample else -1}
        yield known_again(agent, record, "suspect", "progress", "has moved its tasks again", facts)
        return
    _, longest = care.stall_limits(agent, view.settings)
    stall = agent.sample.stall_ms * 1000 if agent.sample else 0
    if stall <= longest:
        return
    proven = stall >= limits.silence_s * SECOND
    if proven or not care.brake.capped(agent.name, many, taken, view.timeline.now, limits):
        text = f"answers, but its task has not moved for {stall // SECOND} s"
        cost = PROVEN_COST if proven else UNPROVEN_COST
        yield draft("down", agent, MarkAgent(state="down"), "no_progress", text, trouble[2], cost)


def _probing(agent: Agent, many: int, care: Care, view: View) -> Iterator[Draft]:
    record = care.record(agent.name)
    limits = view.settings.limits
    now = view.timeline.now
    trouble = _trouble(agent, care, view)
    answers = record.ping.ok()
    stalled = trouble is not None and trouble[0] == "stalled"
    facts = {"pings": record.unanswered, "silent_ms": care.silent(agent) // 1000, "cause": record.cause}
    if trouble is None or answers:
        if stalled or record.cause == "black_hole":
            text = "answers and keeps what it holds, but gets nothing new for now"
            yield draft("suspect", agent, MarkAgent(state="suspect"), record.cause, text, facts)
        else:
            reason, text = ("answered", "has answered") if answers else ("beat_again", "is heard of again")
            yield known_again(agent, record, "suspect", reason, text, facts)
    elif not record.ping.decision or now >= record.ping.at + _ping_wait(record, view):
        lost = bool(record.ping.decision) and record.ping.passed is None
        unanswered = record.unanswered + lost
        if unanswered < limits.agent_pings + care.slack() // int(limits.agent_ping_s * SECOND):
            number = unanswered + 1
            text = f"is pinged, number {number}"
            yield draft("ping", agent, PingAgent(number=number), "no_answer", text, facts)
        elif not care.brake.holds(agent.name, many, now, limits):
            text = f"has not answered {unanswered} pings in a row: it is down"
            yield draft("down", agent, MarkAgent(state="down"), "no_answer", text, facts, PROVEN_COST)


def _ping_wait(record: Record, view: View) -> int:
    """Return how long after a ping the next step comes: a lost outcome is waited for twice as long."""
    wait = int(view.settings.limits.agent_ping_s * SECOND)
    return wait if record.ping.passed is not None else 2 * wait


def _alert(agent: Agent, view: View) -> Iterator[Draft]:
    """One alert for each agent that is lost, until it takes tasks again or a person sent it away."""
    lost = agent.state in ("down", "recovering")
    if not lost and view.alerts.find(AGENT_DOWN, agent.name) is None:
        return
    alarm = Alarm(
        rule="down",
        cause=AGENT_DOWN,
        target=agent.name,
        high=lost,
        low=not lost,
        reason="down",
        text=f"{agent.name} is {agent.state}",
        calm=f"{agent.name} is {agent.state} now",
        facts={"state": agent.state, "since": agent.since},
        severity="critical",
    )
    yield from sound(alarm, view)
