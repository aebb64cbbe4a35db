"""Discrete events in virtual time: tasks come, agents work, fail, go and come back, a balancer gives tasks out."""

import heapq
import random
from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from actors.simulator.players import SECOND, Given, Hand
from actors.simulator.scenario import Job, Scenario

QUEUE = "simulated"


class Placed(Struct, frozen=True, gc=False):
    """The balancer gave a task to an agent."""

    key: str
    agent: str
    lease: int


class Balancer(Protocol):
    """Who gives tasks out. Every word is said at a forest time that never goes back."""

    decisions: int

    def submit(self, number: int, job: Job, now: int) -> str:
        """Take a task; return its key."""

    def joined(self, name: str, now: int) -> None:
        """An agent is there."""

    def gone(self, name: str, now: int) -> None:
        """An agent is known to be away; what it held must go to others."""

    def claim(self, given: Given, agent: str, now: int) -> int:
        """An agent begins a task; return its claim, 0 when the task is not its any more."""

    def finish(self, given: Given, agent: str, service_ms: int, now: int) -> bool:
        """An agent finished a task; tell whether that is the task's end."""

    def fail(self, given: Given, agent: str, service_ms: int, now: int) -> bool:
        """An agent's attempt failed; tell whether the task was given up for it."""

    def place(self, now: int) -> Iterator[Placed]:
        """Yield what is given out now, one by one."""

    def wakes(self, now: int) -> int:
        """Return the next time at which time alone changes the answer, 0 for never."""


class Tally(Struct):
    """What came of one run. Times in seconds; `ends` has NaN for a task that never ended."""

    ends: list[float]
    busy: list[float]
    done: list[int]
    work: list[float]
    given_up: int
    decisions: int
    failed: int
    lost: int


class Engine:
    """One run of one scenario under one balancer."""

    def __init__(self, scenario: Scenario, balancer: Balancer) -> None:
        self._scenario = scenario
        self._balancer = balancer
        self._chance = random.Random(scenario.seed)
        self._hands = {player.name: Hand(player) for player in scenario.players}
        self._began = scenario.begin
        self._until = self._began + round(scenario.horizon * SECOND)
        self._since = self._began + round(scenario.judged_from * SECOND)
        self._heap: list[tuple[int, int, str, str, int]] = []
        self._count = 0
        self._numbers: dict[str, int] = {}
        self._ends = [float("nan")] * len(scenario.jobs)
        self._open = len(scenario.jobs)
        self._given_up = self._failed = self._lost = 0
        self._woken = 0
        self._had: dict[tuple[int, str], int] = {}

    def run(self) -> Tally:
        """Play until every task has ended, or nothing more can happen."""
        for player in self._scenario.players:
            for start, end in player.outages:
                if start > 0:
                    self._push(self._began + round(start * SECOND), "down", player.name, 0)
                self._push(self._began + round(end * SECOND), "up", player.name, 0)
            if any(start <= 0 for start, _ in player.outages):
                self._hands[player.name].stay_away()
            else:
                self._balancer.joined(player.name, self._began)
        coming = 0
        jobs = self._scenario.jobs
        arrivals = [self._began + round(job.arrival * SECOND) for job in jobs] + [0]
        heap = self._heap
        while self._open:
            arrives = arrivals[coming]
            if arrives and (not heap or arrives <= heap[0][0]):
                now = arrives
                self._numbers[self._balancer.submit(coming, jobs[coming], now)] = coming
                coming += 1
            elif heap:
                now, _, what, name, epoch = heapq.heappop(heap)
                self._happen(now, what, name, epoch)
            else:
                break
            self._deal(now)
        return self._tally()

    def _push(self, at: int, what: str, name: str, epoch: int) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, what, name, epoch))

    def _happen(self, now: int, what: str, name: str, epoch: int) -> None:
        if what == "wake":
            self._woken = 0
            return
        hand = self._hands[name]
        if what == "done":
            if epoch == hand.epoch:
                self._done(hand, now)
        elif what == "down":
            hand.go(now, self._since, self._until)
            delay = self._scenario.detection_s + self._chance.random() * self._scenario.jitter_s
            self._push(now + round(delay * SECOND), "known", name, hand.epoch)
        elif what == "known":
            # One that came back before anybody noticed goes on with what it had.
            if epoch == hand.epoch:
                self._lost += len(hand.queue)
                hand.lose()
                self._balancer.gone(name, now)
        else:
            hand.come()
            if not hand.known:
                hand.known = True
                self._balancer.joined(name, now)
            self._begin(hand, now)

    def _begin(self, hand: Hand, now: int) -> None:
        name = hand.player.name
        while (given := hand.next(now)) is not None:
            given.claim = self._balancer.claim(given, name, now)
            if given.claim:
                size = self._scenario.jobs[given.number].size
                self._push(now + hand.takes_us(size), "done", name, hand.epoch)
                return
            hand.running = None

    def _done(self, hand: Hand, now: int) -> None:
        name, began = hand.player.name, hand.began
        given = hand.rest(now, self._since, self._until)
        size = self._scenario.jobs[given.number].size
        service_ms = (now - began + 500) // 1000
        hand.work += size
        if self._fails(hand, given.number):
            self._failed += 1
            if self._balancer.fail(given, name, service_ms, now):
                self._given_up += 1
                self._open -= 1
        elif self._balancer.finish(given, name, service_ms, now):
            hand.done += 1
            self._ends[given.number] = (now - self._began) / SECOND
            self._open -= 1
        self._begin(hand, now)

    def _fails(self, hand: Hand, number: int) -> bool:
        """Tell whether an attempt fails: as it is known, else by chance."""
        job, name = self._scenario.jobs[number], hand.player.name
        if name in job.failed_by:
            had = self._had.setdefault((number, name), 0)
            if had < job.failed_by.count(name):
                self._had[number, name] = had + 1
                return True
        if name == job.done_by:
            return False
        rate = hand.player.error_rate
        return bool(rate and self._chance.random() < rate)

    def _deal(self, now: int) -> None:
        for placed in self._balancer.place(now):
            hand = self._hands[placed.agent]
            hand.queue.append(Given(placed.key, self._numbers[placed.key], placed.lease))
            self._begin(hand, now)
        wakes = self._balancer.wakes(now)
        if wakes > now and (not self._woken or wakes < self._woken):
            self._woken = wakes
            self._push(wakes, "wake", "", 0)

    def _tally(self) -> Tally:
        hands = list(self._hands.values())
        for hand in hands:
            if hand.running is not None and hand.began < self._until:
                hand.busy_us += max(0, self._until - max(hand.began, self._since))
        return Tally(
            ends=self._ends,
            busy=[hand.busy_us / SECOND for hand in hands],
            done=[hand.done for hand in hands],
            work=[hand.work for hand in hands],
            given_up=self._given_up,
            decisions=self._balancer.decisions,
            failed=self._failed,
            lost=self._lost,
        )
