"""The schema of forest.toml: what may stand in it, and the part of it that policies read."""

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, field
from msgspec.structs import replace

from actors.config_errands import Channel, GitHub, Job, Reminder
from actors.config_playbooks import Playbooks
from actors.config_times import times
from actors.config_words import Clock, Command, Count, Name, NotNegative, PathText, Positive, Text
from events.codec import canonical
from events.decisions import Mode
from events.settings import (
    INDICATORS,
    LEARNING,
    AgentSettings,
    DistributionSettings,
    ElfSettings,
    Limits,
    ManaSettings,
    NightSettings,
    QueueSettings,
    RestartSettings,
    Settings,
    WorkerSettings,
)

ElfName = Literal["flow", "time", "balance", "healing", "wisdom"]
Priority = Literal["high", "middle", "low"]
Distribution = Literal["pull_best", "pull_fair", "pull_fifo", "seed", "seed_repaired", "jsq"]
# Each elf's budget for disturbing the system; [[elf]] overrides single numbers.
MANA: dict[ElfName, ManaSettings] = {
    "flow": ManaSettings(refill_per_hour=120),
    "time": ManaSettings(refill_per_hour=120),
    "balance": ManaSettings(refill_per_hour=120),
    "healing": ManaSettings(refill_per_hour=60),
    "wisdom": ManaSettings(refill_per_hour=20),
}

_PERCENT = Meta(ge=0, le=100)
_SHARE = Meta(ge=0, le=1)
_ABOVE_ZERO = Meta(gt=0)
_AT_LEAST_ONE = Meta(ge=1)

# The structs of events.settings are read as they are; these are the ranges their types do not state.
BOUNDS: dict[tuple[type[Struct], str], Meta] = {
    (Limits, "high_load"): _ABOVE_ZERO,
    (Limits, "response_time_s"): _ABOVE_ZERO,
    (Limits, "error_rate"): _SHARE,
    (Limits, "silence_s"): _ABOVE_ZERO,
    (Limits, "predicted_overload"): _ABOVE_ZERO,
    (Limits, "redistribute_above"): _ABOVE_ZERO,
    (Limits, "queue_backlog"): _AT_LEAST_ONE,
    (Limits, "speed_drop"): _SHARE,
    (Limits, "memory_gc_percent"): _PERCENT,
    (Limits, "memory_restart_percent"): _PERCENT,
    (Limits, "queue_jam_s"): _ABOVE_ZERO,
    (Limits, "leak_slot_s"): _ABOVE_ZERO,
    (Limits, "stall_s"): _ABOVE_ZERO,
    (Limits, "evidence_gap_s"): _ABOVE_ZERO,
    (Limits, "disk_sleep_s"): _ABOVE_ZERO,
    (Limits, "zombie_s"): _ABOVE_ZERO,
    (Limits, "memory_quiet_percent"): _PERCENT,
    (Limits, "memory_stop_percent"): _PERCENT,
    (Limits, "shared_s"): _ABOVE_ZERO,
    (Limits, "shared_share"): _SHARE,
    (Limits, "shared_over"): _SHARE,
    (Limits, "unavailable_share"): _SHARE,
    (Limits, "kill_gap_s"): _ABOVE_ZERO,
    (Limits, "human_edit_s"): Meta(ge=0),
    (Limits, "learn_s"): _ABOVE_ZERO,
    (Limits, "cpu_s"): _ABOVE_ZERO,
    (Limits, "cpu_percent"): _ABOVE_ZERO,
    (Limits, "host_cpu_percent"): _PERCENT,
    (Limits, "host_memory_percent"): _PERCENT,
    # Runners beat every five seconds, and an age below ten is never written down.
    (Limits, "beat_lost_s"): Meta(ge=10),
    (Limits, "steady_s"): _ABOVE_ZERO,
    (Limits, "scale_utilisation"): Meta(gt=0, le=1),
    (Limits, "scale_drain_s"): _ABOVE_ZERO,
    (Limits, "scale_down_s"): _ABOVE_ZERO,
    (Limits, "scale_step_s"): _ABOVE_ZERO,
    (Limits, "renotify_s"): _ABOVE_ZERO,
    (Limits, "queue_drain_s"): _ABOVE_ZERO,
    (Limits, "monitor_s"): _ABOVE_ZERO,
    (Limits, "agent_suspect_s"): _ABOVE_ZERO,
    (Limits, "agent_ping_s"): _ABOVE_ZERO,
    (Limits, "agent_pings"): _AT_LEAST_ONE,
    (Limits, "agent_stall_s"): _ABOVE_ZERO,
    (Limits, "agent_no_progress_s"): _ABOVE_ZERO,
    (Limits, "agent_restart_s"): _ABOVE_ZERO,
    (Limits, "agent_verify_s"): _ABOVE_ZERO,
    (Limits, "agent_cooldown_s"): _ABOVE_ZERO,
    (Limits, "agent_probation_tasks"): _AT_LEAST_ONE,
    (Limits, "agent_probation_s"): _ABOVE_ZERO,
    (Limits, "agent_lag_ms"): _AT_LEAST_ONE,
    (Limits, "agent_shared_s"): _ABOVE_ZERO,
    (Limits, "agent_cap_s"): _ABOVE_ZERO,
    (RestartSettings, "burst"): _AT_LEAST_ONE,
    (RestartSettings, "window_s"): _ABOVE_ZERO,
    (ManaSettings, "capacity"): _AT_LEAST_ONE,
    (ManaSettings, "refill_per_hour"): Meta(ge=0),
    (ManaSettings, "start"): Meta(ge=0),
}


class Node(Struct, frozen=True, kw_only=True):
    """[node]: this node. `data` is absolute once read."""

    name: Name = "forest"
    data: PathText = "data"
    language: Literal["ja", "en"] = "en"
    timezone: Annotated[str, Meta(extra={"form": "zone"})] = "UTC"
    sample_s: Positive = 5.0
    log_size: Annotated[int, Meta(extra={"form": "size"})] = 50_000_000
    log_keep: Count = 10
    log_format: Literal["text", "json"] = "text"
    hung_s: Positive = 60.0


class Log(Struct, frozen=True, kw_only=True):
    """[log]: when the event log reaches the disk, when it is archived, and what never reaches the log."""

    sync: Annotated[str, Meta(extra={"form": "sync"})] = "always"
    segment_events: Count = 100_000
    keep_s: Positive = 3600.0
    redact: tuple[Annotated[str, Meta(extra={"form": "pattern"})], ...] = ()


class Queue(Struct, frozen=True, kw_only=True):
    """[[queue]]: where tasks wait."""

    name: Name
    serve: Literal["pull", "dispatch"] = "pull"
    max_attempts: Count = 3
    deaths: Count = 3
    timeout_s: Positive = 600.0
    age_s: Positive = 600.0
    overflow_to: tuple[Text, ...] = ()


class Night(Struct, frozen=True, kw_only=True):
    """At most `max` processes between two times of the day; `to` may lie after midnight."""

    start: Clock = field(name="from")
    end: Clock = field(name="to")
    max: Count

    def settings(self) -> NightSettings:
        """Return the same in minutes of the day."""
        return NightSettings(start=_minute(self.start), end=_minute(self.end), max=self.max)


class ManagedFile(Struct, frozen=True, kw_only=True):
    """[[worker.managed_config]]: a file of the worker's own that may be repaired, and the command that checks it."""

    path: PathText
    check: Command


class Worker(Struct, frozen=True, kw_only=True):
    """[[worker]]: one pool of equal processes. Paths are absolute, `memory_limit` is in bytes once read."""

    name: Name
    queue: Text = ""
    call: Annotated[str, Meta(extra={"form": "call"})] = ""
    exec: Command = ()
    command: Command = ()
    python: Annotated[str, Meta(extra={"form": "python"})] = ""
    cwd: Annotated[str, Meta(extra={"form": "folder"})] = ""
    env: dict[str, str] = {}
    min: Annotated[int, Meta(ge=0, examples=[1])] = 1
    max: Annotated[int, Meta(ge=1, examples=[4])] = 1
    batch: Annotated[int, Meta(ge=1, examples=[10])] = 1
    concurrency: Annotated[int, Meta(ge=1, examples=[2])] = 1
    memory_limit: Annotated[int, Meta(extra={"form": "size"})] = 0
    cpu_limit: NotNegative = 0.0
    restart: RestartSettings = RestartSettings()
    stop_signal: Annotated[str, Meta(extra={"form": "signal"})] = "TERM"
    stop_wait_s: NotNegative = 10.0
    rlimits: dict[str, Annotated[int, Meta(ge=-1)]] = {}
    user: Annotated[str, Meta(extra={"form": "user"})] = ""
    after: tuple[Text, ...] = ()
    ready_s: NotNegative = 0.0
    beat_s: NotNegative = 0.0
    notice_file: PathText = ""
    managed_config: tuple[ManagedFile, ...] = ()
    night: Night | None = None

    def units(self) -> tuple[str, ...]:
        """Return the names of all processes the pool may have, numbered if it may have several."""
        return (self.name,) if self.max == 1 else tuple(f"{self.name}-{n}" for n in range(1, self.max + 1))


class Canary(Struct, frozen=True, kw_only=True):
    """[agent.canary]: a task of known answer. `result` must come back; or `artefact` must exist and hold `contains`."""

    payload: dict[str, Any] = {}
    result: str = ""
    artefact: PathText = ""
    contains: str = ""
    timeout_s: Positive = 60.0


class Agent(Struct, frozen=True, kw_only=True):
    """[[agent]]: a remote agent. `fallback` is its place in the order of last resort, 0 for none."""

    name: Name
    skills: tuple[Text, ...] = ()
    priorities: tuple[Priority, ...] = ()
    fallback: Annotated[int, Meta(ge=0)] = 0
    wip: Count = 1
    restart: Command = ()
    owner: str = ""
    canary: Canary | None = None


class Policy(Struct, frozen=True, kw_only=True):
    """[policy]: how tasks find agents."""

    distribution: Distribution = "pull_best"
    parameters: dict[str, float] = {}


class Web(Struct, frozen=True, kw_only=True):
    """[web]: the dashboard. Port 0 takes a free one; `auth` is a file that holds the token."""

    enabled: bool = True
    host: Text = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8787
    auth: PathText = ""


class Elf(Struct, frozen=True, kw_only=True):
    """[[elf]]: how far one elf may go; `rules` overrides its mode rule by rule."""

    name: ElfName
    mode: Mode = "act"
    rules: dict[str, Mode] = {}
    mana: ManaSettings = ManaSettings()


class Kpi(Struct, frozen=True, kw_only=True):
    """[kpi]: targets by the indicator's name; how often the tables are published for other programs, 0 on demand."""

    targets: dict[str, float] = {}
    snapshot_s: NotNegative = 300.0


class Forest(Struct, frozen=True, kw_only=True):
    """The whole file."""

    node: Node = Node()
    log: Log = Log()
    limits: Limits = Limits()
    queues: tuple[Queue, ...] = field(default=(), name="queue")
    workers: tuple[Worker, ...] = field(default=(), name="worker")
    agents: tuple[Agent, ...] = field(default=(), name="agent")
    policy: Policy = Policy()
    reminders: tuple[Reminder, ...] = field(default=(), name="reminder")
    jobs: tuple[Job, ...] = field(default=(), name="job")
    notify: dict[str, Channel] = {}
    github: GitHub = GitHub()
    web: Web = Web()
    elves: tuple[Elf, ...] = field(default=(), name="elf")
    kpi: Kpi = Kpi()
    playbooks: Playbooks = Playbooks()

    def worker_of(self, unit: str) -> Worker:
        """Return the pool that a unit belongs to. Raises LookupError."""
        for worker in self.workers:
            if unit in worker.units():
                return worker
        raise LookupError(f"expected a unit of forest.toml, got {unit!r}; try elf status")

    def settings(self, env_key: bytes, environ: Mapping[str, str] | None = None) -> Settings:
        """Return what policies read; with a secret `env_key` no value of `env` is told by its digest."""
        given = {elf.name: elf for elf in self.elves}
        return Settings(
            node=self.node.name,
            timezone=self.node.timezone,
            language=self.node.language,
            sample_s=self.node.sample_s,
            limits=self.limits,
            queues=tuple(
                QueueSettings(
                    name=q.name,
                    serve=q.serve,
                    max_attempts=q.max_attempts,
                    timeout_s=q.timeout_s,
                    overflow_to=q.overflow_to,
                )
                for q in self.queues
            ),
            workers=tuple(
                WorkerSettings(
                    name=worker.name,
                    queue=worker.queue,
                    units=worker.units()[: worker.min],
                    memory_limit=worker.memory_limit,
                    stop_wait_s=worker.stop_wait_s,
                    restart=worker.restart,
                    after=worker.after,
                    launch=self._launch_digest(worker, env_key, os.environ if environ is None else environ),
                    names=worker.units(),
                    slots=worker.concurrency,
                    batch=worker.batch,
                    night=worker.night.settings() if worker.night else None,
                    ready_s=worker.ready_s,
                    beat_s=worker.beat_s,
                )
                for worker in self.workers
            ),
            elves=tuple(_elf_settings(name, given.get(name)) for name in MANA),
            agents=tuple(
                AgentSettings(
                    name=agent.name,
                    skills=agent.skills,
                    priorities=agent.priorities,
                    fallback=agent.fallback,
                    wip=agent.wip,
                    owner=agent.owner,
                    restarts=bool(agent.restart),
                    canary=agent.canary is not None,
                )
                for agent in self.agents
            ),
            distribution=DistributionSettings(
                policy=self.policy.distribution, parameters=self.policy.parameters, learning=LEARNING
            ),
            kpi={INDICATORS.get(name, name): target for name, target in self.kpi.targets.items()},
            playbooks=self.playbooks.settings(),
            **times(self),
        )

    def _launch_digest(self, worker: Worker, env_key: bytes, environ: Mapping[str, str]) -> str:
        """Digest everything whose change needs a new process: bounds, limits and reactions are left out."""
        # A runner gets the time to stop with its task list; for a plain program only the node needs it.
        stop_wait_s = 0.0 if worker.command else worker.stop_wait_s
        values = {name: expand(value, environ) for name, value in worker.env.items()}
        hidden = {
            name: hashlib.blake2b(value.encode(), key=env_key[:64], digest_size=16).hexdigest()
            for name, value in values.items()
        }
        process = replace(
            worker,
            env=hidden,
            min=1,
            max=1,
            memory_limit=0,
            restart=RestartSettings(),
            stop_signal="",
            stop_wait_s=stop_wait_s,
            after=(),
            # Left out altogether, so that a digest of an older release stays what it was.
            ready_s=UNSET,
            beat_s=UNSET,
            notice_file="",
            managed_config=(),
            night=None,
        )
        queue = next((q for q in self.queues if q.name == worker.queue), None)
        # With an age it is another digest than that of releases whose runners know no classes: those are replaced.
        served: tuple[float, ...] | None = (
            (queue.timeout_s, queue.max_attempts, queue.age_s) if queue else None
        )
        if queue and served and queue.deaths != 3:
            served = (*served, queue.deaths)
        text = canonical((process, served, self.node.timezone))
        return hashlib.sha256(text).hexdigest()[:16]


_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def references(value: str) -> list[str]:
    """Return the variables of the node's environment that an `env` value asks for by `${NAME}`."""
    return _REFERENCE.findall(value)


def expand(value: str, environ: Mapping[str, str]) -> str:
    """Put the node's own variables in for each `${NAME}`. Raises KeyError for one that is not set."""
    return _REFERENCE.sub(lambda found: environ[found[1]], value)


def _minute(clock: str) -> int:
    hour, _, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)


def _elf_settings(name: ElfName, given: Elf | None) -> ElfSettings:
    if given is None:
        return ElfSettings(name=name, mana=MANA[name])
    return ElfSettings(name=name, mode=given.mode, rules=given.rules, mana=given.mana)
