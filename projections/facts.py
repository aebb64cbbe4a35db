"""What the rows of an event need to know of the events before it; kept beside the tables as small rows of JSON."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, field

from events.decisions import Decided, MarkAgent, VerifyAgent
from events.envelope import Recorded
from events.outcomes import EffectFailed, EffectVerified
from events.settings import ElfSettings, Settings, SettingsAdopted
from projections.agents import Agent, Agents
from projections.columns import Rows
from projections.days import Days
from projections.mana import Mana
from projections.rates import NO_RATES, Rates
from projections.standing import Standing
from projections.task_book import Key, Open, TaskBook

UP = ("alive", "suspect", "probing", "probation")


class Down(Struct):
    """An agent that was found down and has not shown since that it can work."""

    position: int
    time: int


class Lead(Struct):
    """Who leads since which position, and the running maximum of the times that leading nodes wrote."""

    now: int = 0
    holder: str = ""
    epoch: int = 0


class Elves(Struct):
    """The elves' mana and open effects, as deliberation counts them."""

    mana: dict[str, Mana] = field(default_factory=dict)
    standing: dict[str, Standing] = field(default_factory=dict)


class Facts:
    """Everything between one event and the next. `changes` gives what has to be stored of it after a batch."""

    def __init__(self) -> None:
        self.lead = Lead()
        self.settings = Settings(node="")
        self.days = Days()
        self.book = TaskBook()
        self.rates: dict[str, Rates] = {}
        self.agents = Agents({})
        self.downs: dict[str, Down] = {}
        self.checks: dict[str, str] = {}
        self.elves = Elves()
        self._touched: set[str] = set()
        self._counted: set[str] = set()
        self._shown: dict[str, tuple[object, ...]] = {}

    # --- tasks ---------------------------------------------------------------------------------------------

    def counted(self, unit: str, time: int, done: bool, since: int) -> None:
        """Count an end for its unit or agent; `since` is when the task was given to it."""
        rates = self.rates.get(unit)
        if rates is None:
            rates = self.rates[unit] = Rates()
        rates.take(time, done, time - since)
        self._counted.add(unit)

    def rates_of(self, unit: str) -> tuple[float, float, float]:
        """Return completion rate, mean response (seconds) and error rate of a unit or agent."""
        rates = self.rates.get(unit)
        return rates.all if rates else NO_RATES

    # --- agents --------------------------------------------------------------------------------------------

    def agent_word(self, rows: Rows, event: Recorded, time: int) -> None:
        """Fold what changes an agent, with a row of `agent_state` for each that stands otherwise than before."""
        self.agents.apply(event, self.lead.now, self.lead.epoch)
        self._touched.add("agents")
        for name, agent in self.agents.agents.items():
            shown = _shown(agent)
            if self._shown.get(name) != shown:
                self._shown[name] = shown
                rows["agent_state"].append((event.position, time, name, *shown))
                if agent.state == "down" and name not in self.downs:
                    self.downs[name] = Down(event.position, time)
                    self._touched.add("downs")

    def checked(self, rows: Rows, event: Recorded, time: int, body: EffectVerified | EffectFailed) -> None:
        """Fold the outcome of a canary: one that was answered rightly ends the agent's outage."""
        agent = self.checks.pop(body.decision, None)
        if agent is not None:
            self._touched.add("checks")
            if isinstance(body, EffectVerified):
                self.recovered(rows, event, time, agent)

    def recovered(self, rows: Rows, event: Recorded, time: int, agent: str) -> None:
        """An agent that was down did a task rightly."""
        down = self.downs.pop(agent, None)
        if down is not None:
            self._touched.add("downs")
            day = self.days.of(time)
            rows["recovery"].append((event.position, time, agent, down.position, down.time, day))

    # --- elves ---------------------------------------------------------------------------------------------

    def adopted(self, rows: Rows, event: Recorded, time: int, body: SettingsAdopted) -> None:
        """Take settings: the zone of days, the elves' budgets."""
        self.settings = body.settings
        if body.settings.timezone != self.days.zone:
            self.days = Days(body.settings.timezone)
        self._touched.add("settings")
        self.agent_word(rows, event, time)
        self.levels(rows, event, time)

    def decided(self, rows: Rows, event: Recorded, time: int, body: Decided) -> None:
        """Fold a decision into its elf's mana, as deliberation does."""
        if body.epoch != self.lead.epoch:
            return
        action = body.action
        if isinstance(action, VerifyAgent) and body.mode == "act":
            self.checks[event.id] = body.target
            self._touched.add("checks")
        if isinstance(action, MarkAgent):
            self.agent_word(rows, event, time)
        effect = action.effect
        if body.mode != "act" or not (body.cost or effect):
            return
        if effect:
            self.elves.standing.setdefault(body.elf, Standing({}, {}, {})).note(event, body, self.lead.now)
        elf = self._elf(body.elf)
        self._mana(elf).spend(body.cost)
        self._level(rows, event, time, elf)

    def settled(self, rows: Rows, event: Recorded, time: int, body: EffectVerified | EffectFailed) -> None:
        """Fold an outcome: half of what a verified effect cost comes back."""
        self.checked(rows, event, time, body)
        for name, standing in self.elves.standing.items():
            effect = standing.settle(body)
            if effect:
                elf = self._elf(name)
                mana = self._mana(elf)
                if isinstance(body, EffectVerified):
                    mana.refund(effect.cost, elf.mana)
                self._level(rows, event, time, elf)

    def levels(self, rows: Rows, event: Recorded, time: int) -> None:
        """Say every elf's level, once a minute."""
        for elf in self.settings.elves:
            self._level(rows, event, time, elf)

    def _elf(self, name: str) -> ElfSettings:
        return next((elf for elf in self.settings.elves if elf.name == name), ElfSettings(name=name))

    def _mana(self, elf: ElfSettings) -> Mana:
        mana = self.elves.mana.setdefault(elf.name, Mana())
        mana.refill(self.lead.now, elf.mana)
        return mana

    def _level(self, rows: Rows, event: Recorded, time: int, elf: ElfSettings) -> None:
        level = self._mana(elf).level
        self._touched.add("elves")
        rows["mana_level"].append((event.position, time, elf.name, level))

    # --- keeping -------------------------------------------------------------------------------------------

    def changes(self, everything: bool = False) -> tuple[list[str], list[tuple[str, str]]]:
        """Return the keys to forget and the rows to keep since the last call; of tasks all if `everything`."""
        tasks = sorted(self.book.tasks if everything else self.book.touched)
        names = sorted(self._touched.union(f"rates/{unit}" for unit in self._counted))
        kept = [(_name(key), _text(self.book.tasks[key])) for key in tasks if key in self.book.tasks]
        kept += [(name, _text(self._part(name))) for name in names]
        self.book.touched = set()
        self._touched = set()
        self._counted = set()
        return [*map(_name, tasks), *names], kept

    def _part(self, name: str) -> object:
        return self.rates[name[6:]] if name.startswith("rates/") else getattr(self, _WHOLE[name][0])

    def restore(self, rows: Iterable[tuple[str, str]]) -> None:
        """Take up what `changes` gave. Raises msgspec.DecodeError, msgspec.ValidationError."""
        for name, text in rows:
            if name.startswith("task/"):
                self.book.tasks[_key(name)] = msgspec.json.decode(text, type=Open)
            elif name.startswith("rates/"):
                self.rates[name[6:]] = msgspec.json.decode(text, type=Rates)
            elif name in _WHOLE:
                attribute, kind = _WHOLE[name]
                setattr(self, attribute, msgspec.json.decode(text, type=kind))
        self.days = Days(self.settings.timezone)
        self._shown = {name: _shown(agent) for name, agent in self.agents.agents.items()}


_WHOLE: dict[str, tuple[str, Any]] = {
    "settings": ("settings", Settings),
    "agents": ("agents", Agents),
    "downs": ("downs", dict[str, Down]),
    "checks": ("checks", dict[str, str]),
    "elves": ("elves", Elves),
}


def _shown(agent: Agent) -> tuple[object, ...]:
    slots = min(agent.settings.wip, agent.offered or agent.settings.wip)
    up = agent.known and agent.intent == "run" and agent.state in UP and bool(agent.run)
    return agent.state, agent.phase, agent.intent, slots, agent.wip, up


def _name(key: Key) -> str:
    return f"task/{len(key[0])}/{key[0]}/{key[1]}"


def _key(name: str) -> Key:
    """Read what `_name` wrote: whatever letters a queue's name may have."""
    _, length, rest = name.split("/", 2)
    return rest[: int(length)], rest[int(length) + 1 :]


def _text(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        # Half of a pair of code units, which somebody wrote as an escape: the bytes keep it, this need not.
        return json.dumps(msgspec.to_builtins(value))
