"""The recorded work that distribution policies are judged on, read from a folder of traces."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.simulator.scenario import Job, rescaled
from actors.simulator.traces import Columns, read_trace

TASKS = 12_000
HOUR_S, DAY_S = 3_600.0, 86_400.0

# What is known before the run makes the kind; 0.3 ms a token read, 30 ms a token written, 50 ms in any case.
AZURE = Columns(
    arrival="TIMESTAMP",
    size={"ContextTokens": 0.0003, "GeneratedTokens": 0.03, "constant": 0.05},
    key=("ContextTokens",),
    complexity="ContextTokens",
    buckets={"ContextTokens": 2.0},
)
MOONCAKE = Columns(
    arrival="timestamp",
    arrival_unit_s=0.001,
    size={"input_length": 0.0003, "output_length": 0.03, "constant": 0.05},
    key=("input_length",),
    complexity="input_length",
    buckets={"input_length": 2.0},
)
GENTD26 = Columns(
    arrival="gmt_create",
    size="exec_time_seconds",
    key=("checkpoint_model_version_id", "num_lora", "num_images_per_prompt"),
    where={"predict_status": ("SUCCEED", "FAILED")},
)
FILES = {
    "gentd26": ("gentd26/lora_request_trace.csv", GENTD26),
    "lcg": ("lcg/LCG.swf.gz", Columns(key=("user", "group", "requested"))),
    "azure_llm": ("azure_llm/AzureLLMInferenceTrace_conv.csv", AZURE),
    "azure_code": ("azure_llm/AzureLLMInferenceTrace_code.csv", AZURE),
    "mooncake": ("mooncake/conversation_trace.jsonl", MOONCAKE),
}


def work(data: Path, name: str, part: str = "middle") -> list[Job]:
    """Return at most 12,000 tasks in a row of mean size 600 s: from the middle, or of the first or second half."""
    file, columns = FILES[name]
    jobs = rescaled(read_trace(data / file, columns=columns))
    if name == "gentd26":
        jobs = _flattened([_at_least(job, 1.0) for job in jobs])
    if name == "lcg":
        # The whole log feeds 170 sites: every seventh job is the share of a small one. The first day warms up.
        last = jobs[-1].arrival
        first = DAY_S if last > 3 * DAY_S else 0.0
        jobs = [job for job in jobs if job.arrival >= first][::7]
    if part != "middle":
        half = len(jobs) // 2
        jobs = jobs[:half] if part == "first" else jobs[half:]
    start = max(0, (len(jobs) - TASKS) // 2)
    return rescaled(jobs[start : start + TASKS], 600.0)


def _at_least(job: Job, size: float) -> Job:
    return job if job.size >= size else Job(arrival=job.arrival, size=size, kind=job.kind)


def _flattened(jobs: Sequence[Job]) -> list[Job]:
    """Take the slow profile of the rate out (hourly counts averaged over three hours), keep the bursts."""
    hours = math.ceil(jobs[-1].arrival / HOUR_S) or 1
    counts = [0] * hours
    for job in jobs:
        counts[min(hours - 1, int(job.arrival // HOUR_S))] += 1
    mean = len(jobs) / hours
    rates = []
    for hour in range(hours):
        near = [counts[min(hours - 1, max(0, other))] for other in (hour - 1, hour, hour + 1)]
        rates.append(max(0.05 * mean, sum(near) / 3))
    before = [0.0]
    for rate in rates:
        before.append(before[-1] + rate)
    flat = []
    for job in jobs:
        hour = min(hours - 1, int(job.arrival // HOUR_S))
        moment = before[hour] + rates[hour] * (job.arrival / HOUR_S - hour)
        flat.append(Job(arrival=moment * HOUR_S / mean, size=job.size, kind=job.kind))
    return flat
