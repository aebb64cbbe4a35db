"""How long one assignment takes with many agents and many waiting tasks, and how fast a whole run of tasks goes.

One decision is what the Balance elf does when an agent has finished a task: fold, choice, candidates with numbers.
Time is the thread's own, so that what others do on the machine does not count.
"""

import heapq
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.elves import View
from actors.elves.balance_elf import BalanceElf, BalanceState
from actors.elves.distribution import NAMES, board_of, distribution
from bench.figures import Report, arguments, machine
from events.decisions import AssignTask
from events.settings import AgentSettings, DistributionSettings, QueueSettings, Settings
from projections.alerts import Alerts
from projections.dispatch import Dispatch
from projections.standing import Standing
from projections.timeline import Timeline

SECOND = 1_000_000
NOW = 1_700_000_000 * SECOND
KINDS = 200
SKILLS = ("design", "infrastructure", "quality", "documents")
SIZES = ((10, 100), (100, 1_000), (1_000, 10_000), (1_000, 100_000))


def settings(agents: int, policy: str, skilled: bool) -> Settings:
    """Return a forest with so many agents; every other one has two skills of four."""
    rows = []
    for number in range(agents):
        skills = (SKILLS[number % 4], SKILLS[(number + 1) % 4]) if skilled and number % 2 else ()
        rows.append(AgentSettings(name=f"A{number:05}", skills=skills))
    return Settings(
        node="n",
        queues=(QueueSettings(name="q", serve="dispatch", max_attempts=99),),
        agents=tuple(rows),
        distribution=DistributionSettings(policy=policy),
    )


class Forest:
    """A Balance elf with all agents busy and so many tasks waiting."""

    def __init__(self, agents: int, tasks: int, policy: str) -> None:
        self.chance = random.Random(1)
        self.elf = BalanceElf()
        self.view = View(Timeline(now=NOW), settings(agents, policy, True), Alerts(), Standing())
        self.state = BalanceState()
        self.dispatch = self.state.dispatch
        self.dispatch.configure(self.view.settings, NOW)
        for name in self.dispatch.order:
            self.dispatch.join(name, NOW)
        self.position = self.number = 0
        for _ in range(agents + tasks):
            self.submit()
        while self.decide():
            pass

    def submit(self) -> None:
        """Let one more task wait."""
        self.number += 1
        self.position += 1
        kind = self.chance.choice(SKILLS) if self.number % 3 else f"kind{self.number % KINDS}"
        priority = self.chance.choice(("high", "middle", "middle", "low"))
        name = f"t{self.number}"
        self.dispatch.submit("q", name, self.position, self.view.timeline.now, kind=kind, priority=priority)

    def decide(self) -> int:
        """Ask the elf and do what it says."""
        drafts = self.elf.decide(self.state, self.view)
        for draft in drafts:
            assert isinstance(draft.action, AssignTask)
            key = f"q/{draft.action.task}"
            lease = self.dispatch.assign(key, draft.action.agent, self.view.timeline.now)
            self.position += 1
            self.dispatch.start(key, draft.action.agent, lease, self.position, self.view.timeline.now)
        return len(drafts)

    def one(self) -> float:
        """Let an agent finish and a task come; return what the decision takes, in milliseconds."""
        busy = [name for name, held in self.dispatch.held.items() if held]
        (task, *_) = self.dispatch.holds(self.chance.choice(busy))
        self.submit()
        self.view.timeline.now += round(self.chance.expovariate(1 / 50_000))
        began = time.thread_time_ns()
        service = round(self.chance.lognormvariate(8, 1))
        self.dispatch.finish(task.key, task.agent, task.claim, service, self.view.timeline.now)
        decided = self.decide()
        took = (time.thread_time_ns() - began) / 1e6
        return took if decided else float("nan")


def decisions(report: Report, policy: str, rounds: int) -> None:
    """Measure single decisions at every size."""
    for agents, tasks in SIZES:
        forest = Forest(agents, tasks, policy)
        took = sorted(value for value in (forest.one() for _ in range(rounds)) if value == value)
        goal = "<= 2 ms" if (agents, tasks) == (1_000, 10_000) else ""
        figure = f"{policy}, {agents:,} agents, {tasks:,} waiting: p99 of a decision"
        report.row(figure, took[len(took) * 99 // 100], "ms", goal=goal, p50=took[len(took) // 2])


def whole(report: Report, policy: str, tasks: int = 12_000, agents: int = 20) -> None:
    """Measure fold and decisions of a whole run without a log."""
    chance = random.Random(2)
    dispatch = Dispatch()
    dispatch.configure(settings(agents, policy, False), NOW)
    for name in dispatch.order:
        dispatch.join(name, NOW)
    board = board_of(dispatch, distribution(policy))
    coming, at = [], NOW
    for number in range(tasks):
        at += round(chance.expovariate(0.9 * agents / 600e6))
        coming.append((at, f"t{number}", f"kind{number % KINDS}", chance.lognormvariate(0, 1) * 364e6))
    sizes = {f"q/{name}": size for _, name, _, size in coming}
    queued: dict[str, list[tuple[str, int]]] = {name: [] for name in dispatch.order}
    idle = dict.fromkeys(dispatch.order)
    ends: list[tuple[int, str, str, int, int]] = []
    position = done = 0

    def begin(name: str, now: int) -> None:
        nonlocal position
        if name in idle and queued[name]:
            key, lease = queued[name].pop(0)
            position += 1
            dispatch.start(key, name, lease, position, now)
            del idle[name]
            heapq.heappush(ends, (now + round(sizes[key]), name, key, position, round(sizes[key] / 1000)))

    coming.reverse()
    began = time.thread_time()
    while done < tasks:
        if coming and (not ends or coming[-1][0] <= ends[0][0]):
            now, task, kind, _ = coming.pop()
            position += 1
            dispatch.submit("q", task, position, now, kind=kind, complexity=20)
        else:
            now, name, key, claim, service = heapq.heappop(ends)
            dispatch.finish(key, name, claim, service, now)
            done += 1
            idle[name] = None
            begin(name, now)
        while pick := board.pick(now):
            queued[pick.agent].append((pick.key, dispatch.assign(pick.key, pick.agent, now)))
            begin(pick.agent, now)
    took = time.thread_time() - began
    report.row(f"{policy}: {tasks:,} tasks, {agents} agents, no log", took, "s", goal="< 1 s")


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    given = parser.parse_args()
    report = Report("assign_scale", given.json)
    print(machine(), flush=True)
    for policy in ("pull_best", "pull_fifo", "seed"):
        decisions(report, policy, given.rounds)
    for policy in NAMES:
        whole(report, policy)


if __name__ == "__main__":
    main()
