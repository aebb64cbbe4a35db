"""Why: the story of a task, a worker or a decision in plain sentences, each with its place in the log."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from projections.phrases import LANGUAGES

Query = Callable[[str, Sequence[object]], list[dict[str, Any]]]
"""Runs SQL with parameters on the warehouse's views and returns rows by column name."""
Words = Callable[[str], str]
"""Says a text of the log in the reader's language."""

LINES = 400
SHORTEST_PREFIX = 4
_LONGEST_VALUE = 300


class Line(Struct, frozen=True):
    """One sentence. `time` in microseconds since 1970, `position` in the log."""

    time: int
    position: int
    text: str


class Story(Struct, frozen=True):
    """What happened and why. `kind` is task, worker, agent or decision."""

    kind: str
    id: str
    title: str
    lines: list[Line]


def story(query: Query, id: str, language: str = "en", told: Words = str) -> Story | None:
    """Tell of a task, a unit or pool, an agent, or a decision by its id or a unique prefix; None if unknown."""
    teller = _Teller(query, LANGUAGES.get(language, LANGUAGES["en"]), told)
    return (
        teller.task(id)
        or teller.worker(id)
        or teller.agent(id)
        or teller.distribution(id)
        or teller.decision(id)
    )


class _Teller:
    def __init__(self, query: Query, phrases: Any, told: Words) -> None:
        self._query = query
        self._phrases = phrases
        self._told = told

    def say(self, phrase: str, **words: object) -> str:
        return str(self._phrases[phrase].format(**words))

    def _title(self, phrase: str, row: dict[str, Any]) -> str:
        return self.say(phrase, **(row | {"state": self._told(row["state"])}))

    def line(self, row: dict[str, Any], phrase: str, **words: object) -> Line:
        return Line(row["time"], row["seq"], self.say(phrase, **(row | words)))

    def task(self, id: str) -> Story | None:
        """Every event of the task, what its workers went through meanwhile, what was decided about that."""
        states = self._query(_TASKS, [id])
        if not states:
            return None
        lines = [self._task_line(row) for row in self._query(_TASK_EVENTS, [id, id])]
        for end in self._query(_EXITS_OF_TASK, [id]):
            lines.append(self._unit_line(end))
            for found in self._query(_DECISIONS_ON, [end["seq"], end["unit"]]):
                lines += self._decision_lines(found["id"])
        for row in self._query(_DECISIONS_FOR_TASK, [id, id]):
            lines += self._verdict(row)
        lines += [self._agent_line(row) for row in self._query(_NOTES_OF_TASK, [id])]
        title = "; ".join(self._title("task", state) for state in states)
        return Story("task", id, title, _in_order(lines))

    def worker(self, id: str) -> Story | None:
        """The life of a unit, or of a pool: generations, intents, decisions and what came of them."""
        units = self._query(_WORKERS, [id, id])
        own = [unit for unit in units if unit["id"] == id]
        units = own or units
        if not units:
            return None
        lines: list[Line] = []
        for unit in units:
            lines += [self._unit_line(row) for row in self._query(_UNIT_EVENTS, [unit["id"]])]
            for row in self._query(_DECISIONS_ABOUT, [unit["id"]]):
                lines += self._verdict(row)
            lines += [self._effect_line(row) for row in self._query(_EFFECTS_ABOUT, [unit["id"]])]
        for target in {id, *(unit["id"] for unit in units), *(unit["pool"] or id for unit in units)}:
            lines += [self._intent_line(row) for row in self._query(_INTENTS, [target])]
            lines += [self._scale_line(row) for row in self._query(_SCALES, [target])]
        if own:
            title = self._title("worker", own[0])
        else:
            done, errors = sum(unit["done"] for unit in units), sum(unit["errors"] for unit in units)
            title = self.say("pool", id=id, count=len(units), done=done, errors=errors)
        return Story("worker", id, title, self._last(_in_order(lines)))

    def agent(self, id: str) -> Story | None:
        """The life of a remote agent: its comings and goings, phases, tasks, decisions and what came of them."""
        found = self._query(_AGENTS, [id])
        if not found:
            return None
        lines = [self._agent_line(row) for row in self._query(_AGENT_EVENTS, [id])]
        for row in self._query(_DECISIONS_ABOUT, [id]):
            lines += self._verdict(row)
        lines += [self._effect_line(row) for row in self._query(_EFFECTS_ABOUT, [id])]
        lines += [self._task_line(row) for row in self._query(_TASKS_OF_AGENT, [id])]
        return Story("agent", id, self._title("agent", found[0]), self._last(_in_order(lines)))

    def distribution(self, id: str) -> Story | None:
        """Why tasks are given out as they are: settings, what tuning found, answers, trials and their ends."""
        if id != "distribution":
            return None
        lines = [self._settings_line(row) for row in self._query(_DISTRIBUTIONS, [])]
        found = [row | _read(row["body"]) for row in self._query(_TUNINGS, [])]
        lines += [self.line(row, str(row["type"])) for row in found]
        for row in self._query(_DECISIONS_ABOUT, [id]):
            lines += self._verdict(row)
        lines += [self._effect_line(row) for row in self._query(_EFFECTS_ABOUT, [id])]
        lines = _in_order(lines)
        return Story("distribution", id, self.say("distribution", count=len(found)), self._last(lines))

    def _settings_line(self, row: dict[str, Any]) -> Line:
        it = _read(row["distribution"])
        canary = it.get("canary")
        trial = self.say("on_trial", it=_policy(canary), share=canary["share"]) if canary else ""
        return self.line(row, "distribution_adopted", it=_policy(it), trial=trial)

    def decision(self, id: str) -> Story | None:
        """One decision with all that it rests on."""
        found = self._query(
            "SELECT id, elf, choice, target, outcome FROM decisions WHERE id = ?"
            " OR (length(?) >= ? AND starts_with(id, ?)) ORDER BY id <> ?, id LIMIT 2",
            [id, id, SHORTEST_PREFIX, id, id],
        )
        if not found or (len(found) > 1 and found[0]["id"] != id):
            return None
        chosen = found[0]
        title = self.say("decision", **chosen)
        lines = self._decision_lines(chosen["id"], grounds=True)
        return Story("decision", chosen["id"], title, _in_order(lines))

    def _decision_lines(self, id: str, grounds: bool = False) -> list[Line]:
        row = self._query(_DECISION, [id])[0]
        lines = self._verdict(row)
        effects = [self._effect_line(effect) for effect in self._query(_EFFECTS, [id])]
        if grounds:
            lines = self._grounds(row, _read(row["body"])) + lines
            lines += [self._unit_line(unit) for unit in self._query(_ORDERED_BY, [id])]
            if not effects:
                lines.append(self.line(row, "no_outcome"))
        return lines + effects

    def _verdict(self, row: dict[str, Any]) -> list[Line]:
        text = self._told(row["text"])
        lines = [self.line(row, "decided", rule=row["kind"], cost=row["mana_cost"], text=text)]
        if row["stale"]:
            lines.append(self.line(row, "stale"))
        return lines

    def _grounds(self, row: dict[str, Any], body: dict[str, Any]) -> list[Line]:
        """What it saw, and between what it chose; said at the place of the event that made it look."""
        lines = [
            self.line(seen, "trigger", elf=row["elf"], what=seen["type"])
            for seen in self._query(_EVENT, [row["trigger"]])
        ]
        inputs = sorted(body.get("inputs", {}).items())
        if inputs:
            facts = ", ".join(f"{name} = {_short(value)}" for name, value in inputs)
            lines.append(self.line(row, "inputs", facts=facts))
        for candidate in body.get("candidates", []):
            scores = sorted(candidate.get("terms", {}).items())
            terms = ", ".join(f"{name} {value:g}" for name, value in scores)
            words = {"name": candidate["name"], "terms": f" ({terms})" if terms else ""}
            why_not = self._told(candidate.get("why_not", ""))
            lines.append(self.line(row, "candidate" if why_not else "chosen", **words, why_not=why_not))
        return lines

    def _effect_line(self, row: dict[str, Any]) -> Line:
        what, detail = row["what"], self._told(row["detail"] or row["error"] or "")
        phrase = {"started": "effect_started", "verified": "verified", "failed": "effect_failed"}.get(what)
        if phrase is None:
            phrase = "step_ok" if row["ok"] else "step_bad"
        return self.line(row, phrase, took=row["took_ms"], detail=f": {detail}" if detail else "")

    def _task_line(self, row: dict[str, Any]) -> Line:
        if row["ignored"]:
            return self.line(row, "ignored")
        words: dict[str, object] = {"reason": row["reason"] or "-", "to": row["moved_to"]}
        if row["kind"] != "error":
            # What a handler raised is said in its own words.
            words["error"] = self._told(row["error"] or "")
        if row["what"] == "finished":
            words |= {
                "result": _short(_read(row["body"]).get("result")),
                "service": (row["service_ms"] or 0) / 1e3,
            }
        if row["what"] == "submitted":
            words["kind"] = f" ({row['kind']})" if row["kind"] else ""
        line = self.line(row, row["what"], **words)
        more = "solo" if row["solo"] else "cleared" if row["cleared"] else "delayed" if row["due"] else ""
        suffix = self.say(more, **row) if more else ""
        if row.get("trace"):
            suffix += self.say("traced", trace=row["trace"])
        return Line(line.time, line.position, line.text + suffix) if suffix else line

    def _unit_line(self, row: dict[str, Any]) -> Line:
        if row["what"] == "started":
            return self.line(row, "adopted" if row["adopted"] else "running")
        if row["what"] != "exited":
            return self.line(row, row["what"])
        if row["signal"] is not None:
            how = self.say("by_signal", signal=row["signal"])
        else:
            how = self.say("unknown_end") if row["code"] is None else self.say("by_code", code=row["code"])
        error = f": {self._told(row['error'])}" if row["error"] else ""
        return self.line(row, "exited", how=how, error=error)

    def _agent_line(self, row: dict[str, Any]) -> Line:
        note = _read(row["body"]).get("note", {}) if row["what"] == "handed_over" else {}
        words = {"reason": f": {row['reason']}" if row["reason"] else "", "note": _short(note)}
        return self.line(row, f"agent_{row['what']}", **words)

    def _intent_line(self, row: dict[str, Any]) -> Line:
        again = self.say("again") if row["restart"] else ""
        return self.line(row, "intent", again=again, reason=f": {row['reason']}" if row["reason"] else "")

    def _scale_line(self, row: dict[str, Any]) -> Line:
        it = _read(row["body"])
        phrase = "scaled" if it["count"] >= 0 else "scaled_auto"
        return self.line(
            row, phrase, count=it["count"], reason=f": {it['reason']}" if it.get("reason") else ""
        )

    def _last(self, lines: list[Line]) -> list[Line]:
        left_out = len(lines) - LINES
        if left_out <= 0:
            return lines
        kept = lines[left_out:]
        return [Line(kept[0].time, kept[0].position, self.say("earlier", count=left_out)), *kept]


def _in_order(lines: Iterable[Line]) -> list[Line]:
    """Sort by position and drop what was found twice; lines of one position keep their order."""
    return sorted(dict.fromkeys(lines), key=lambda line: line.position)


def _read(body: object) -> dict[str, Any]:
    """Take a body as DuckDB gives it, text, or as an answer in JSON gives it, read."""
    value = msgspec.json.decode(body) if isinstance(body, str) else body
    return value if isinstance(value, dict) else {}


def _policy(it: dict[str, Any]) -> str:
    own = ", ".join(f"{name} {value:g}" for name, value in sorted(it.get("parameters", {}).items()))
    return f"{it['policy']} ({own})" if own else str(it["policy"])


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


_TASKS = "SELECT id, queue, state, attempts FROM tasks WHERE id = ? ORDER BY submit_seq"
_TASK_EVENTS = """
SELECT e.position AS seq, e.time, e.what, e.task, e.queue, coalesce(e.unit, '') AS unit, e.generation, e.pid,
       e.attempt, e.claim, e.kind, e.error, e.service_ms, e.priority, e.moved_to, e.reason, v.source, v.body,
       e.solo, e.deaths, e.cleared, e.trace, strftime(make_timestamp(nullif(e.due, 0)), '%Y-%m-%d %H:%M:%S UTC') AS due,
       e.what IN ('finished', 'failed', 'released') AND t.turn IS NULL AS ignored
FROM task_event e JOIN events v ON v.seq = e.position
LEFT JOIN (SELECT * FROM task_turns WHERE task = ?) t ON t.outcome_seq = e.position
WHERE e.task = ? ORDER BY e.position
"""
_WORKERS = """
SELECT name AS id, pool, state, coalesce(generation, 0) AS generation, tasks_processed AS done, errors
FROM workers WHERE name = ? OR pool = ? ORDER BY name
"""
_UNIT_EVENTS = """
SELECT position AS seq, time, what, unit, generation, pid, adopted, code, signal, error
FROM unit_event WHERE unit = ? ORDER BY position
"""
_ORDERED_BY = """
SELECT u.position AS seq, u.time, u.what, u.unit, u.generation, u.pid, u.adopted, u.code, u.signal, u.error
FROM unit_event u JOIN unit_event o ON o.unit = u.unit AND o.generation = u.generation
WHERE o.what = 'ordered' AND o.decision = ? AND u.what IN ('ordered', 'started', 'ready') ORDER BY u.position
"""
_EXITS_OF_TASK = """
SELECT u.position AS seq, u.time, u.what, u.unit, u.generation, u.pid, u.adopted, u.code, u.signal, u.error
FROM attempts a JOIN unit_event u ON u.unit = a.worker AND u.generation = a.generation
WHERE u.what = 'exited' AND u.position > a.seq AND a.task = ? AND a.outcome IN ('lost', 'running', 'dead')
ORDER BY u.position
"""
# What was decided about the task itself, and about agents that had it in their hands then.
_DECISIONS_FOR_TASK = """
SELECT d.seq, epoch_us(d.time) AS time, d.elf, d.kind, d.target, d.choice, d.text, d.policy, d.version, d.mode,
       d.mana_cost, d.epoch, d.stale
FROM decisions d WHERE d.target = ? AND d.choice IN ('assign_task', 'give_up_task')
UNION
SELECT d.seq, epoch_us(d.time), d.elf, d.kind, d.target, d.choice, d.text, d.policy, d.version, d.mode,
       d.mana_cost, d.epoch, d.stale
FROM (SELECT agent, position, lead(position) OVER (ORDER BY position) AS until FROM assignment
      WHERE task = ? AND legit) a
JOIN decisions d ON d.target = a.agent AND d.choice = 'mark_agent' AND d.seq > a.position AND d.seq < a.until
ORDER BY 1
"""
_NOTES_OF_TASK = """
SELECT e.position AS seq, e.time, e.what, e.agent, e.task, e.attempt, e.reason, v.source, v.body
FROM agent_event e JOIN events v ON v.seq = e.position WHERE e.what = 'handed_over' AND e.task = ?
  AND EXISTS (SELECT 1 FROM assignment a WHERE a.task = e.task AND a.agent = e.agent AND a.legit)
ORDER BY e.position
"""
_AGENTS = """
SELECT name AS id, state, phase, tasks_processed AS done, errors FROM agents WHERE name = ?
"""
_AGENT_EVENTS = """
SELECT e.position AS seq, e.time, e.what, e.agent, e.run, e.pid, e.host, e.wip, e.intent, e.phase, e.reason, e.task,
       e.attempt, v.source, v.body
FROM agent_event e JOIN events v ON v.seq = e.position
WHERE e.agent = ? AND e.what IN ('added', 'revoked', 'joined', 'left', 'intent', 'phase', 'handed_over')
ORDER BY e.position
"""
_TASKS_OF_AGENT = """
SELECT e.position AS seq, e.time, e.what, e.task, e.queue, e.unit, e.generation, e.pid, e.attempt, e.claim, e.kind,
       e.error, e.service_ms, e.priority, e.moved_to, e.reason, v.source, v.body, e.solo, e.deaths, e.cleared,
       NULL AS due, false AS ignored
FROM task_event e JOIN events v ON v.seq = e.position
WHERE v.source = 'agent.' || ? AND e.what IN ('started', 'finished', 'failed', 'released', 'salvaged')
ORDER BY e.position
"""
_INTENTS = (
    "SELECT position AS seq, time, source, target, intent, restart, reason FROM intent WHERE target = ?"
)
_SCALES = """
SELECT seq, epoch_us(time) AS time, source, json_extract_string(body, '$.pool') AS target, body FROM events
WHERE type = 'scale_set' AND target = ?
"""
_DECISION = """
SELECT d.seq, epoch_us(d.time) AS time, d.elf, d.kind, d.target, d.choice, d.text, d.policy, d.version,
       d.mode, d.mana_cost, d.trigger, d.epoch, d.stale, v.body
FROM decisions d JOIN events v ON v.seq = d.seq WHERE d.id = ? ORDER BY d.seq LIMIT 1
"""
_DECISIONS_ABOUT = """
SELECT seq, epoch_us(time) AS time, elf, kind, target, choice, text, policy, version, mode, mana_cost,
       epoch, stale
FROM decisions WHERE target = ? ORDER BY seq
"""
_DISTRIBUTIONS = """
SELECT seq, epoch_us(time) AS time, source, json_extract_string(body, '$.origin') AS origin,
       json_extract_string(body, '$.settings.distribution') AS distribution
FROM events WHERE type = 'settings_adopted'
QUALIFY distribution IS DISTINCT FROM lag(distribution) OVER (ORDER BY seq) ORDER BY seq
"""
_TUNINGS = """
SELECT seq, epoch_us(time) AS time, source, type, body FROM events
WHERE type IN ('tuning_found', 'tuning_withdrawn') OR (type IN ('proposal_approved', 'proposal_rejected')
    AND json_extract_string(body, '$.about') = 'distribution')
ORDER BY seq
"""
_DECISIONS_ON = "SELECT id FROM decisions WHERE trigger = ? AND target = ? ORDER BY seq"
_EFFECTS = """
SELECT e.position AS seq, e.time, e.what, e.target, e.step, e.ok, e.detail, e.error, e.took_ms, d.choice
FROM effect e JOIN decision d ON d.id = e.decision WHERE e.decision = ? ORDER BY e.position
"""
_EFFECTS_ABOUT = """
SELECT e.position AS seq, e.time, e.what, e.target, e.step, e.ok, e.detail, e.error, e.took_ms, d.choice
FROM effect e JOIN decision d ON d.id = e.decision WHERE d.target = ? ORDER BY e.position
"""
_EVENT = "SELECT seq, epoch_us(time) AS time, type, entity FROM events WHERE seq = ?"
