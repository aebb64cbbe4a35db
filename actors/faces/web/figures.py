"""The node's figures as Prometheus reads them: one catalogue of names, labels with a bound, values from status."""

import platform
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.vitals import Vitals

OTHER = "other"
"""What is beyond a label's bound is summed up under this name; of ages and rates it is the largest."""
MOST = {"worker": 200, "pool": 200, "queue": 100, "agent": 100}
"""So many different values may a label have; the labels that are not here have values that the code knows."""

STATES = (
    "starting running quiet paused suspended stopping restarting stopped backoff quarantined".split()  # of workers
)
SEVERITIES = ("info", "warning", "critical")
MODES = ("observe", "advise", "act")

Row = Mapping[str, Any]


class Figure(Struct, frozen=True):
    """One metric of the node or, with `labels`, of each of something. `worst`: beyond the bound the largest counts."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    labels: tuple[str, ...] = ()
    worst: bool = False


def _gauge(name: str, help: str, *labels: str, worst: bool = False) -> Figure:
    return Figure(name, "gauge", help, labels, worst)


def _counter(name: str, help: str, *labels: str) -> Figure:
    return Figure(name, "counter", help, labels)


CATALOGUE = (
    _gauge("elf_build_info", "Always 1; which release runs on which Python.", "version", "python"),
    _gauge("elf_node_alive", "1 if every part of the node answers, as /healthz says."),
    _gauge("elf_node_ready", "1 if the node does its work, as /readyz says."),
    _gauge("elf_node_hung_actors", "Parts of the node that have not answered for long."),
    _gauge("elf_node_actors", "Parts of the node that are asked whether they live."),
    _gauge("elf_node_oldest_answer_seconds", "Age of the oldest answer among them."),
    _gauge("elf_node_connected", "1 with a connection to nats-server."),
    _gauge("elf_node_answered", "1 if the figures below that come from the actors are there."),
    _gauge("elf_node_start_time_seconds", "When the node started, in seconds since 1970."),
    _counter("elf_log_events_total", "Events in the log, by the position that the node has read."),
    _counter("elf_log_written_total", "Events that this process has written."),
    _gauge("elf_log_reader_lag_events", "Events that a reader of the log is behind.", "reader"),
    _gauge("elf_disk_free_bytes", "Free space on the disk of the data folder."),
    _gauge("elf_disk_reserve_bytes", "Below so much free space the node decides nothing."),
    _gauge("elf_workers", "Worker processes by state.", "state"),
    _gauge("elf_worker_up", "1 while the process lives.", "worker", "pool"),
    _gauge("elf_worker_cpu_ratio", "CPU of the process tree, 1 is a whole core.", "worker", "pool"),
    _gauge("elf_worker_memory_bytes", "Memory of the process tree.", "worker", "pool"),
    _gauge("elf_worker_memory_limit_bytes", "Its declared limit.", "worker", "pool"),
    _gauge("elf_worker_uptime_seconds", "Since its process started.", "worker", "pool", worst=True),
    _counter("elf_worker_tasks_total", "Tasks done.", "worker", "pool"),
    _counter("elf_worker_errors_total", "Attempts that failed.", "worker", "pool"),
    _counter("elf_worker_restarts_total", "Restarts.", "worker", "pool"),
    _gauge("elf_queue_pending_tasks", "Tasks that wait for their consumer.", "queue"),
    _gauge("elf_queue_in_flight_tasks", "Tasks handed out and not acknowledged.", "queue"),
    _gauge("elf_queue_unfinished_tasks", "Tasks without an end.", "queue"),
    _gauge("elf_queue_oldest_age_seconds", "Age of the oldest task without an end.", "queue", worst=True),
    _counter("elf_queue_submitted_total", "Tasks submitted.", "queue"),
    _counter("elf_queue_ended_total", "Tasks that came to an end.", "queue"),
    _gauge("elf_agent_up", "1 for an agent that is alive.", "agent"),
    _gauge("elf_agent_current_tasks", "Tasks in its hands.", "agent"),
    _gauge("elf_agent_load_score", "Its load; 80 is much.", "agent", worst=True),
    _counter("elf_agent_tasks_total", "Tasks done.", "agent"),
    _counter("elf_agent_errors_total", "Attempts that failed.", "agent"),
    _gauge("elf_agent_error_ratio", "Share of its attempts that fail.", "agent", worst=True),
    _gauge("elf_agent_response_seconds", "From given to end, on average.", "agent", worst=True),
    _gauge("elf_mana_points", "What an elf may still spend.", "elf"),
    _gauge("elf_mode", "1 for the mode that an elf is in.", "elf", "mode"),
    _gauge("elf_paused", "1 while a person lets every elf only observe."),
    _gauge("elf_open_alerts", "Open alerts by severity.", "severity"),
)


class Bounded:
    """Values of one metric by labels, never more than the labels' bounds allow."""

    def __init__(self, figure: Figure, known: Mapping[str, frozenset[str]]) -> None:
        self.figure = figure
        self._known = known
        self._values: dict[tuple[str, ...], float] = {}

    def set(self, value: float | None, *labels: str) -> None:
        """Take a value; None says that there is none."""
        if value is None:
            return
        kept = tuple(
            text if text in self._known.get(label, (text,)) else OTHER
            for label, text in zip(self.figure.labels, labels, strict=True)
        )
        before = self._values.get(kept)
        if before is None:
            self._values[kept] = float(value)
        else:
            self._values[kept] = max(before, value) if self.figure.worst else before + value

    def family(self) -> Metric:
        """Return it as the library writes it."""
        family = GaugeMetricFamily if self.figure.kind == "gauge" else CounterMetricFamily
        found = family(self.figure.name, self.figure.help, labels=self.figure.labels)
        for labels, value in sorted(self._values.items()):
            found.add_metric(labels, value)
        return found


class Figures(Collector):
    """What is known at one moment."""

    def __init__(self, vitals: Vitals, page: Row | None, version: str) -> None:
        page = page or {}
        workers, agents = page.get("workers", ()), page.get("agents", ())
        known = {
            "worker": _first("worker", (row["name"] for row in workers)),
            "pool": _first("pool", (row["pool"] for row in workers)),
            "queue": _first("queue", (row["name"] for row in page.get("queues", ()))),
            "agent": _first("agent", (row["name"] for row in agents)),
        }
        self._all = {figure.name: Bounded(figure, known) for figure in CATALOGUE}
        self._set("elf_build_info", 1, version, platform.python_version())
        self._node(vitals)
        self._set("elf_node_answered", bool(page))
        if page:
            self._page(page)

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`; a metric without a value is left out."""
        for bounded in self._all.values():
            family = bounded.family()
            if family.samples:
                yield family

    def _set(self, name: str, value: float | None, *labels: str) -> None:
        self._all[name].set(value, *labels)

    def _node(self, vitals: Vitals) -> None:
        answers = vitals.answers
        self._set("elf_node_alive", vitals.alive)
        self._set("elf_node_ready", vitals.readiness()[0])
        self._set("elf_node_hung_actors", len(answers.hung))
        self._set("elf_node_actors", answers.asked)
        self._set("elf_node_oldest_answer_seconds", answers.age_s)
        self._set("elf_node_connected", vitals.connected)
        self._set("elf_log_events_total", vitals.position)
        self._set("elf_log_written_total", vitals.written)
        self._set("elf_disk_free_bytes", vitals.disk_free)
        self._set("elf_disk_reserve_bytes", vitals.disk_reserve)
        for reader, lag in vitals.lags.items():
            self._set("elf_log_reader_lag_events", lag, reader)

    def _page(self, page: Row) -> None:
        self._set("elf_node_start_time_seconds", page["node"]["started"])
        self._set("elf_paused", bool(page["paused"]))
        for state in STATES:
            self._set("elf_workers", 0, state)
        for row in page["workers"]:
            self._worker(row)
        for row in page["queues"]:
            self._queue(row)
        for row in page["agents"]:
            self._agent(row)
        for row in page["elves"]:
            self._set("elf_mana_points", row["mana"], row["name"])
            for mode in MODES:
                self._set("elf_mode", row["mode"] == mode, row["name"], mode)
        for severity in SEVERITIES:
            self._set("elf_open_alerts", 0, severity)
        for row in page["alerts"]:
            self._set("elf_open_alerts", 1, row["severity"] if row["severity"] in SEVERITIES else OTHER)

    def _worker(self, row: Row) -> None:
        who = row["name"], row["pool"]
        cpu = row["cpu_percent"]
        self._set("elf_workers", 1, row["state"] if row["state"] in STATES else OTHER)
        self._set("elf_worker_up", row["pid"] is not None, *who)
        self._set("elf_worker_cpu_ratio", None if cpu is None else cpu / 100, *who)
        self._set("elf_worker_memory_bytes", row["memory_bytes"], *who)
        self._set("elf_worker_memory_limit_bytes", row["memory_limit_bytes"], *who)
        self._set("elf_worker_uptime_seconds", row["uptime_s"], *who)
        self._set("elf_worker_tasks_total", row["tasks_processed"], *who)
        self._set("elf_worker_errors_total", row["errors"], *who)
        self._set("elf_worker_restarts_total", row["restarts"], *who)

    def _queue(self, row: Row) -> None:
        name = row["name"]
        self._set("elf_queue_pending_tasks", row["pending"], name)
        self._set("elf_queue_in_flight_tasks", row["in_flight"], name)
        self._set("elf_queue_unfinished_tasks", row["unfinished"], name)
        self._set("elf_queue_oldest_age_seconds", row["oldest_age_s"], name)
        self._set("elf_queue_submitted_total", row["submitted"], name)
        self._set("elf_queue_ended_total", row["ended"], name)

    def _agent(self, row: Row) -> None:
        name = row["name"]
        self._set("elf_agent_up", row["state"] == "alive", name)
        self._set("elf_agent_current_tasks", row["current_tasks"], name)
        self._set("elf_agent_load_score", row["load_score"], name)
        self._set("elf_agent_tasks_total", row["tasks_processed"], name)
        self._set("elf_agent_errors_total", row["errors"], name)
        self._set("elf_agent_error_ratio", row["error_rate"], name)
        self._set("elf_agent_response_seconds", row["response_time_s"], name)


def registry_of(vitals: Vitals, page: Row | None, version: str) -> CollectorRegistry:
    """Return a registry of its own, with the process' figures by the library's own names."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Figures(vitals, page, version))
    return registry


def _first(label: str, names: Iterable[str]) -> frozenset[str]:
    return frozenset(sorted(set(names))[: MOST[label]])
