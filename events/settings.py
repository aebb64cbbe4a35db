"""Settings in force. They are events: what counts is the last adopted one in the log, never what a file says now."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from events.decisions import Mode
from events.event import Event
from events.zones import Zone

Origin = Literal["file", "tuning", "operator"]


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Thresholds. The first ten are the seed documents' own numbers."""

    high_load: float = 80.0
    response_time_s: float = 300.0
    error_rate: float = 0.05
    silence_s: float = 3600.0
    predicted_overload: float = 85.0
    redistribute_above: float = 70.0
    queue_backlog: int = 100
    speed_drop: float = 0.5
    memory_gc_percent: float = 80.0
    memory_restart_percent: float = 90.0
    queue_jam_s: float = 30.0
    beat_lost_s: float = 30.0
    scale_utilisation: float = 0.8
    scale_drain_s: float = 5.0
    scale_down_s: float = 180.0
    scale_step_s: float = 5.0
    steady_s: float = 10.0
    renotify_s: tuple[float, ...] = (900.0, 3600.0, 21600.0)
    queue_drain_s: float = 600.0
    monitor_s: float = 60.0
    agent_suspect_s: float = 15.0
    agent_ping_s: float = 5.0
    agent_pings: int = 3
    agent_stall_s: float = 300.0
    agent_no_progress_s: float = 900.0
    agent_restart_s: float = 300.0
    agent_verify_s: float = 300.0
    agent_cooldown_s: tuple[float, ...] = (60.0, 120.0, 240.0, 480.0, 960.0, 1800.0)
    agent_probation_tasks: int = 5
    agent_probation_s: float = 86_400.0
    agent_lag_ms: int = 1000
    agent_shared_s: float = 120.0
    agent_cap_s: float = 600.0
    leak_slot_s: float = 300.0
    stall_s: float = 30.0
    evidence_gap_s: float = 10.0
    disk_sleep_s: float = 60.0
    zombie_s: float = 60.0
    memory_quiet_percent: float = 95.0
    memory_stop_percent: float = 98.0
    shared_s: float = 120.0
    shared_share: float = 0.55
    shared_over: float = 0.3
    unavailable_share: float = 0.2
    kill_gap_s: float = 30.0
    human_edit_s: float = 60.0
    learn_s: float = 86_400.0
    cpu_s: float = 60.0
    cpu_percent: float = 90.0
    host_cpu_percent: float = 95.0
    host_memory_percent: float = 80.0


class QueueSettings(Struct, frozen=True, kw_only=True):
    """One queue as policies see it."""

    name: str
    serve: Literal["pull", "dispatch"] = "pull"
    max_attempts: int = 3
    timeout_s: float = 600.0
    overflow_to: tuple[str, ...] = ()


class RestartSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many early deaths within the window put a unit into quarantine."""

    burst: int = 5
    window_s: float = 600.0


class NightSettings(Struct, frozen=True, kw_only=True):
    """At most `max` processes from one minute of the local day to another, which may lie after midnight."""

    start: int
    end: int
    max: int


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """One pool of equal processes as policies see it. `launch` is the digest of how it is started.

    `units` are wanted as long as nobody scales the pool, `names` all that it may have; `slots` is how many tasks one
    process works on at once, `batch` how many it is handed at once. A plain program says within `ready_s` that it is
    ready and gives a beat every `beat_s`; 0 means that it says neither.
    """

    name: str
    queue: str = ""
    units: tuple[str, ...] = ()
    memory_limit: int = 0
    stop_wait_s: float = 10.0
    restart: RestartSettings = RestartSettings()
    after: tuple[str, ...] = ()
    launch: str = ""
    names: tuple[str, ...] = ()
    slots: int = 1
    batch: int = 1
    night: NightSettings | None = None
    ready_s: float = 0.0
    beat_s: float = 0.0


class AgentSettings(Struct, frozen=True, kw_only=True):
    """One remote agent as policies see it. No skills or priorities means any; `fallback` 0 means none.

    `restarts` tells whether there is a command to restart it, `canary` whether there is a task of known answer.
    """

    name: str
    skills: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    fallback: int = 0
    wip: int = 1
    owner: str = ""
    restarts: bool = False
    canary: bool = False


class CanarySettings(Struct, frozen=True, kw_only=True):
    """A candidate by which a `share` of the tasks is given out, until it is kept or taken back.

    `decision` adopted it. It is judged once `least` tasks of either group are there, at `until` (microseconds of forest
    time) at the latest.
    """

    policy: str
    parameters: dict[str, float] = {}
    share: float = 0.2
    until: int = 0
    decision: str = ""
    least: int = 50


class DistributionSettings(Struct, frozen=True, kw_only=True):
    """Which policy gives tasks to agents, its parameters where they differ from its own, and what is being tried.

    `learning` 2: speeds of agents are learnt beside everybody else's, and what follows from that; 1 is what a log means
    that does not say so.
    """

    policy: str = "pull_best"
    parameters: dict[str, float] = {}
    canary: CanarySettings | UnsetType = UNSET
    learning: int = 1


LEARNING = 2
"""How a node that is started now learns."""


class ReminderSettings(Struct, frozen=True, kw_only=True):
    """One reminder of the configuration; `when` as it was written, read by the clocks of `zone`."""

    name: str
    worker: str
    when: str
    text: str
    zone: str = "UTC"


class JobSettings(Struct, frozen=True, kw_only=True):
    """One job as policies see it. `escalate` tells whether its failures are more than a line."""

    name: str
    every: str
    kind: str
    zone: str = "UTC"
    escalate: bool = True


class ChannelSettings(Struct, frozen=True, kw_only=True):
    """One way to tell people and the topics that go there beside what is addressed to it by name."""

    name: str
    topics: tuple[str, ...] = ()


class ManaSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An elf's budget for disturbing the system, in whole points."""

    capacity: int = 100
    refill_per_hour: int = 60
    start: int = 80


class ElfSettings(Struct, frozen=True, kw_only=True):
    """How far one elf may go; `rules` overrides its mode rule by rule."""

    name: str
    mode: Mode = "act"
    rules: dict[str, Mode] = {}
    mana: ManaSettings = ManaSettings()


INDICATORS: dict[str, str] = {
    "作業完了率": "completion_rate",
    "平均応答時間": "response_s",
    "エラー率": "error_rate",
    "型安全性": "type_safety",
    "負荷均等性": "load_spread",
    "単一障害点リスク": "single_point_share",
    "復旧時間": "recovery_s",
    "予防的アラート精度": "alert_precision",
    "完了率": "completion_rate",
}
"""The seed's names of the indicators, and those that views and settings use."""


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that policies read. Secret values never enter; commands enter as digests.

    `playbooks` names the steps of those that are not the usual ones.
    """

    node: str
    timezone: str = "UTC"
    language: str = "en"
    sample_s: float = 5.0
    limits: Limits = Limits()
    queues: tuple[QueueSettings, ...] = ()
    workers: tuple[WorkerSettings, ...] = ()
    elves: tuple[ElfSettings, ...] = ()
    agents: tuple[AgentSettings, ...] = ()
    distribution: DistributionSettings = DistributionSettings()
    kpi: dict[str, float] = {}
    reminders: tuple[ReminderSettings, ...] = ()
    jobs: tuple[JobSettings, ...] = ()
    channels: tuple[ChannelSettings, ...] = ()
    zones: tuple[Zone, ...] = ()
    playbooks: dict[str, tuple[str, ...]] | UnsetType = UNSET


class SettingsAdopted(Event, frozen=True, kw_only=True):
    """From this position on these settings are in force."""

    origin: Origin
    digest: str
    settings: Settings
    changed: tuple[str, ...] = ()
