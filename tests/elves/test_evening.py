"""On a full machine a pool whose work is soon done gives a process to one whose work lasts, and nothing comes back."""

import pytest

from actors.elves.balance_elf import BalanceElf
from events.decisions import Decided, ScalePool
from events.observations import HostSample, Sampled, UnitSample, WorkerReady
from events.settings import QueueSettings, WorkerSettings
from events.tasks import TaskFinished, TaskStarted, TaskSubmitted
from tests.elves import Given, queue, settings

GB = 1_000_000_000


def pool(name: str) -> WorkerSettings:
    """Return a pool of one to three."""
    names = tuple(f"{name}-{number}" for number in (1, 2, 3))
    return WorkerSettings(name=name, queue=name, units=names[:1], names=names, launch="1")


class Two(Given):
    """The pools `long` and `short`; `short` has two processes."""

    def __init__(self, memory: int = GB // 10) -> None:
        workers = (pool("long"), pool("short"))
        queues = (QueueSettings(name="long"), QueueSettings(name="short"))
        super().__init__(BalanceElf(), settings(workers=workers, queues=queues))
        self.memory = memory
        for name in ("long-1", "short-1"):
            self.up(name)
        # What short had to do asked for two.
        self.work("short", 2000, 30)
        self.look(HostSample(100, 16 * GB, 16 * GB, 4), short=30)
        (grown,) = [one for one in self.then() if one.rule == "scale"]
        assert isinstance(grown.action, ScalePool)
        for name in grown.action.units[1:]:
            self.up(name)
        self.work("long", 30_000, 1)

    def up(self, name: str) -> None:
        """Let a process start and be ready."""
        self.born(name, pool=name.partition("-")[0])
        self.say(WorkerReady(unit=name, generation=1, pid=1))

    def work(self, name: str, ms: int, count: int) -> None:
        """Let tasks come and one end."""
        for number in range(count):
            self.say(TaskSubmitted(task=f"{name}{number}", queue=name), source="client.c")
        place = {"task": f"{name}0", "queue": name, "unit": f"{name}-1", "generation": 1, "attempt": 1}
        self.say(TaskStarted(**place, pid=1, nonce="n"), source=f"worker.{name}")  # type: ignore[arg-type]
        end = TaskFinished(**place, claim=len(self.events), service_ms=ms)  # type: ignore[arg-type]
        self.say(end, source=f"worker.{name}")

    def look(self, host: HostSample, long: int = 0, short: int = 0, cpu: int = 990) -> None:
        """Let a tick see everybody."""
        units = tuple(
            UnitSample(name, 1, "R", cpu, self.memory, 1, 1, 1, 0)
            for name, unit in self.mind.own.pools.units.units.items()
            if unit.alive
        )
        queues = (queue(long, name="long"), queue(short, name="short"))
        self.say(Sampled(full=False, units=units, queues=queues, host=host), s=6)

    def evened(self) -> list[Decided]:
        """Return what is said about evening."""
        return [one for one in self.then() if one.rule.startswith("even_")]


FULL = {
    "even_cpu": HostSample(990, 16 * GB, 16 * GB, 4),
    "even_memory": HostSample(300, GB // 20, 16 * GB, 4),
}


@pytest.mark.parametrize("rule", FULL)
def test_a_full_machine_s_process_goes_where_work_lasts(rule: str) -> None:
    two = Two()
    two.look(FULL[rule], long=20, short=1)
    gives, gets = two.evened()
    assert (gives.rule, gives.target, gets.target) == (rule, "short", "long")
    assert isinstance(gives.action, ScalePool)
    assert isinstance(gets.action, ScalePool)
    assert gets.action.units == ("long-1", "long-2")
    assert gets.inputs["to_lasts_s"] > 2 * gets.inputs["from_lasts_s"]
    before = len(gives.action.units)
    two.up("long-2")
    two.look(FULL[rule], long=20, short=40)
    sizes = [one.action for one in two.then() if isinstance(one.action, ScalePool) and one.target == "short"]
    assert not [action for action in sizes if len(action.units) > before]


def test_with_room_with_even_work_or_at_its_min_nobody_gives() -> None:
    roomy = Two()
    roomy.look(HostSample(300, 16 * GB, 16 * GB, 4), long=20, short=1)
    assert roomy.evened() == []
    even = Two()
    even.look(FULL["even_cpu"], long=2, short=120)
    assert even.evened() == []
    resting = Two()
    resting.look(FULL["even_cpu"], long=20, short=1, cpu=100)
    assert resting.evened() == []
