"""What an elf only advised is done once when a person approves it, and left alone for a day when one rejects it."""

from actors.elves.deliberation import decision_id
from actors.elves.healing_elf import HealingElf
from events.decisions import ContinueUnit, Decided
from events.proposals import ProposalApproved, ProposalRejected
from events.settings import ElfSettings, WorkerSettings
from tests.elves import Given, sample, settings

PERSON = "operator.cli"


def advised() -> tuple[Given, Decided]:
    """Return a story in which Healing advised to continue a stopped unit."""
    workers = (WorkerSettings(name="a", units=("a",), launch="1"),)
    elves = (ElfSettings(name="healing", rules={"stopped": "advise"}),)
    story = Given(HealingElf(), settings(workers=workers, elves=elves)).born("a")
    story.tick(sample("a", "T")).tick(sample("a", "T"))
    (advice,) = story.then()
    assert advice.mode == "advise"
    assert story.tick(sample("a", "T")).then() == []
    return story, advice


def answer(advice: Decided, yes: bool) -> ProposalApproved | ProposalRejected:
    """Return a person's answer to it."""
    kind = ProposalApproved if yes else ProposalRejected
    return kind(decision=decision_id(advice), elf=advice.elf, rule=advice.rule, about=advice.target)


def test_an_approved_act_is_decided_anew_and_only_once() -> None:
    story, advice = advised()
    story.say(answer(advice, yes=True), source=PERSON)
    (act,) = story.then()
    assert (act.mode, act.action, act.cost) == ("act", ContinueUnit(generation=1), 1)
    story.verify(act)
    assert [
        decided.mode for decided in story.tick(sample("a", "T"), s=3600).tick(sample("a", "T")).then()
    ] == ["advise"]


def test_what_is_no_longer_true_is_not_done_though_it_was_approved() -> None:
    story, advice = advised()
    story.say(answer(advice, yes=True), source=PERSON)
    assert story.tick(sample("a", "S")).then() == []


def test_an_approval_holds_for_an_hour() -> None:
    story, advice = advised()
    story.tick(sample("a", "S")).say(answer(advice, yes=True), source=PERSON)
    story.tick(sample("a", "T"), s=3601).tick(sample("a", "T"))
    assert [decided.mode for decided in story.then()] == ["advise"]


def test_what_a_person_rejected_is_not_said_again_for_a_day() -> None:
    story, advice = advised()
    story.say(answer(advice, yes=False), source=PERSON)
    assert story.tick(sample("a", "T"), s=23 * 3600).then() == []
    assert [decided.mode for decided in story.tick(sample("a", "T"), s=3601).then()] == ["advise"]


def test_only_a_person_can_approve() -> None:
    story, advice = advised()
    story.say(answer(advice, yes=True), source="worker.a")
    story.say(answer(advice, yes=True), source="agent.CC01")
    assert story.then() == []
    story.say(ProposalApproved(decision="d0", elf="healing", rule="stopped", about="a"), source=PERSON)
    assert story.then() == []
