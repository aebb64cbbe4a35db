"""Wisdom proposes what tuning found, tries it on a share of the tasks, keeps it or takes it back."""

import pytest
from msgspec.structs import replace

from actors.elves.deliberation import decision_id
from actors.elves.wisdom_elf import WisdomElf
from actors.settler import distribution_after
from events.analyses import TuningFound, TuningWithdrawn
from events.decisions import AdoptDistribution, Decided, Propose
from events.observations import Sampled
from events.proposals import ProposalApproved, ProposalRejected
from events.settings import DistributionSettings, QueueSettings, SettingsAdopted
from events.tasks import TaskCancelled, TaskSubmitted
from projections.canaries import is_tried
from projections.layers import Layers
from tests.elves import Given, settings

PERSON = "operator.p"
ADOPTED = settings(queues=(QueueSettings(name="q", serve="dispatch"),))
FOUND = TuningFound(
    policy="pull_best",
    parameters={"weight": 0.5},
    now_policy="pull_fifo",
    gain=0.3,
    low=0.2,
    high=0.4,
    p99=1.1,
    spread=9.0,
    largest=40.0,
    tasks=900,
    windows=24,
    share=0.5,
    trial_s=600.0,
    least=20,
)


class Story:
    """The elf, and what carries its decisions out."""

    def __init__(self) -> None:
        self.given = Given(WisdomElf(), ADOPTED)
        self.layers = Layers()
        self._seen = 0
        self._follow()

    def _follow(self) -> None:
        for event in self.given.events[self._seen :]:
            self.layers.apply(event)
        self._seen = len(self.given.events)

    def tick(self, s: float = 5.0) -> list[Decided]:
        """Let time pass, let the elf decide, carry it out."""
        self.given.say(Sampled(full=False), s=s)
        decided = [one for one in self.given.then() if one.rule == "tuning"]
        self._follow()
        for one in decided:
            if isinstance(one.action, AdoptDistribution):
                after = distribution_after(self.layers, one.action, decision_id(one))
                assert after is not None
                self.adopt(after, "operator" if one.action.step == "withdraw" else "tuning")
                self.given.verify(one)
                self._follow()
        return decided

    def adopt(self, after: DistributionSettings, origin: str = "tuning") -> None:
        """Put a distribution in force."""
        adopted = replace(ADOPTED, distribution=after)
        self.given.say(SettingsAdopted(origin=origin, digest="x", settings=adopted))  # type: ignore[arg-type]
        self._follow()

    @property
    def in_force(self) -> DistributionSettings:
        """What is in force."""
        assert self.layers.settings
        return self.layers.settings.distribution

    def on_trial(self, found: TuningFound = FOUND) -> "Story":
        """Go on until a candidate is tried."""
        self.given.say(found, source=PERSON)
        (proposed,) = self.tick()
        yes = ProposalApproved(
            decision=decision_id(proposed), elf="wisdom", rule="tuning", about="distribution"
        )
        self.given.say(yes, source=PERSON)
        (begun,) = self.tick()
        assert isinstance(begun.action, AdoptDistribution)
        assert begun.action.step == "canary"
        return self

    def tasks(self, count: int, tried_s: float, rest_s: float, name: str = "t") -> None:
        """Let tasks come and end after so many seconds, by their group; they are gone without an agent's word."""
        canary = self.in_force.canary
        assert canary
        ends = []
        for number in range(count):
            task = f"{name}{number}"
            self.given.say(TaskSubmitted(task=task, queue="q"), source=PERSON)
            takes = tried_s if is_tried(canary, f"q/{task}") else rest_s
            ends.append((takes + number % 3, task))
        passed = 0.0
        for at, task in sorted(ends):
            self.given.say(Sampled(full=False), s=at - passed)
            passed = at
            self.given.say(TaskCancelled(task=task, queue="q", reason="done"), source=PERSON)
        self._follow()


def test_what_tuning_found_is_proposed_with_its_evidence_and_only_from_a_person() -> None:
    story = Story()
    story.given.say(FOUND, source="client.c")
    assert story.tick() == []
    story.given.say(FOUND, source=PERSON)
    (proposed,) = story.tick()
    action = proposed.action
    assert isinstance(action, Propose)
    assert "30% shorter than pull_fifo" in action.claim
    assert (action.low, action.high, action.n) == (0.2, 0.4, 900)
    assert action.change["to"] == {"policy": "pull_best", "parameters": {"weight": 0.5}}
    assert story.tick() == []
    story.given.say(
        ProposalRejected(decision=decision_id(proposed), elf="wisdom", rule="tuning", about="distribution"),
        source=PERSON,
    )
    assert story.tick() == []
    assert story.in_force == DistributionSettings()


def test_what_the_check_refused_says_so_in_its_proposal() -> None:
    story = Story()
    story.given.say(replace(FOUND, objections=("p99 too high",)), source=PERSON)
    (proposed,) = story.tick()
    assert isinstance(proposed.action, Propose)
    assert "although the check refused it: p99 too high" in proposed.action.claim
    assert proposed.reason == "asked"


def test_an_approved_candidate_is_tried_on_a_share_of_the_tasks() -> None:
    story = Story().on_trial()
    canary = story.in_force.canary
    assert canary
    assert (canary.policy, canary.share, canary.least) == ("pull_best", 0.5, 20)
    assert canary.until > story.given.now + 500_000_000
    assert story.in_force.policy == DistributionSettings().policy
    tried = sum(is_tried(canary, f"q/t{number}") for number in range(2000))
    assert tried == pytest.approx(1000, abs=100)


def test_a_candidate_that_is_clearly_slower_is_taken_back_before_its_time() -> None:
    story = Story().on_trial()
    story.tasks(80, tried_s=60.0, rest_s=30.0)
    (back,) = story.tick()
    assert isinstance(back.action, AdoptDistribution)
    assert (back.action.step, back.reason) == ("rollback", "slower")
    assert back.inputs["times"] > 1.5
    assert story.in_force == DistributionSettings()
    assert story.tick() == []


def test_open_tasks_count_with_their_age_so_that_a_candidate_that_ends_nothing_is_found_out() -> None:
    story = Story().on_trial()
    canary = story.in_force.canary
    assert canary
    names = [f"t{number}" for number in range(80)]
    for name in names:
        story.given.say(TaskSubmitted(task=name, queue="q"), source=PERSON)
    story.given.say(Sampled(full=False), s=10.0)
    for name in names:
        if not is_tried(canary, f"q/{name}"):
            story.given.say(TaskCancelled(task=name, queue="q", reason="done"), source=PERSON)
    (back,) = story.tick(s=60.0)
    assert back.reason == "slower"


def test_as_good_as_the_others_at_the_end_of_its_time_is_kept_for_all() -> None:
    story = Story().on_trial()
    story.tasks(80, tried_s=20.0, rest_s=30.0)
    assert story.tick() == []
    (kept,) = story.tick(s=600.0)
    assert isinstance(kept.action, AdoptDistribution)
    assert (kept.action.step, kept.reason) == ("keep", "as_good")
    assert story.in_force == DistributionSettings(policy="pull_best", parameters={"weight": 0.5})


def test_too_few_tasks_for_a_judgement_end_the_trial() -> None:
    story = Story().on_trial()
    story.tasks(6, tried_s=1.0, rest_s=1.0)
    (back,) = story.tick(s=600.0)
    assert back.reason == "not_enough"
    assert story.in_force == DistributionSettings()


def test_a_person_takes_back_what_was_adopted_and_the_file_counts_again() -> None:
    story = Story().on_trial()
    story.given.say(TuningWithdrawn(reason="no"), source=PERSON)
    (gone,) = story.tick()
    assert isinstance(gone.action, AdoptDistribution)
    assert gone.action.step == "withdraw"
    assert story.in_force == story.layers.file == DistributionSettings()
    assert story.layers.tuned is None


def test_a_file_that_is_read_again_does_not_put_adopted_tuning_aside() -> None:
    story = Story()
    tuned = DistributionSettings(policy="pull_fair")
    story.adopt(tuned)
    assert story.layers.tuned == tuned
    story.adopt(DistributionSettings(policy="pull_fifo"), "file")
    assert story.layers.covered == len(story.given.events)
    assert story.layers.file == DistributionSettings(policy="pull_fifo")
    story.adopt(tuned)
    assert story.layers.covered == 0


def test_a_decision_about_a_trial_that_is_over_changes_nothing() -> None:
    story = Story()
    late = AdoptDistribution(step="keep", policy="pull_best", parameters={"weight": 0.5})
    assert distribution_after(story.layers, late, "d1") is None
