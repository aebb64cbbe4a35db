"""What was learnt is found again, in both languages, and what people wrote stands for ever."""

from typing import Any

import msgspec
import pytest

from events.decisions import AnyAction, ClearAlert, ContinueUnit, Decided, Propose, RaiseAlert, RestartUnit
from events.envelope import Recorded
from events.event import Event
from events.outcomes import EffectFailed, EffectVerified, WorkerStartOrdered
from events.proposals import KnowledgeAdded, ProposalApproved
from projections.knowledge import Knowledge
from projections.knowledge_index import Index
from projections.knowledge_pages import page

MINUTE = 60_000_000
START = 1_767_225_600_000_000


class Story:
    """A fold and the time; `say` folds an event."""

    def __init__(self) -> None:
        self.fold = Knowledge()
        self.now = START
        self.position = 0

    def say(self, body: Event, name: str = "", source: str = "node.n", minutes: float = 1.0) -> "Story":
        """Let time pass and fold one event."""
        self.now += int(minutes * MINUTE)
        self.position += 1
        self.fold.apply(
            Recorded(self.position, "", name or f"e{self.position}", self.now, source, "", "", body, b"")
        )
        return self

    def decided(self, action: AnyAction, target: str, rule: str, text: str, **more: Any) -> "Story":
        """Let an elf decide; its id is d and the position."""
        given: dict[str, Any] = {"elf": "healing", "reason": rule, "mode": "act"} | more
        body = Decided(
            rule=rule, target=target, action=action, text=text, trigger=1, as_of=1, epoch=1, ordinal=0,
            size=1, policy="p", version="1", settings="", **given,
        )  # fmt: skip
        return self.say(body, f"d{self.position + 1}")

    def documents(self) -> dict[str, str]:
        """Return a document of each record."""
        return {name: page(note) for name, note in self.fold.notes.items()}


def incidents() -> Story:
    """Return three incidents: a crash loop, a jam of a queue, a leak that a restart ended."""
    story = Story()
    story.say(WorkerStartOrdered(unit="adder-1", pool="adder", generation=1, nonce="n"))
    story.say(WorkerStartOrdered(unit="eater", pool="eater", generation=1, nonce="n"))
    raised = RaiseAlert(cause="crash_loop", severity="critical")
    story.decided(raised, "adder-1", "quarantine", "adder-1 keeps dying (exit code 3); next try in 5 min")
    story.decided(ClearAlert(cause="crash_loop"), "adder-1", "quarantine", "adder-1 stays alive again")
    story.decided(RaiseAlert(cause="jam", severity="warning"), "sums", "jam", "sums stands still for 40 s")
    story.decided(ClearAlert(cause="jam"), "sums", "jam", "sums moves again")
    story.decided(RestartUnit(generation=1, drain=True), "eater", "leak", "eater grows by 3 % an hour")
    return story.say(EffectVerified(decision="d7", target="eater", detail="generation 2 is ready"))


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("異常", "crash_loop-adder"),
        ("隔離", "crash_loop-adder"),
        ("渋滞", "jam-sums"),
        ("詰まり", "jam-sums"),
        ("漏れ", "leak-eater"),
        ("メモリ", "leak-eater"),
        ("crash", "crash_loop-adder"),
        ("queue stands", "jam-sums"),
        ("leak eater", "leak-eater"),
        ("LEAK", "leak-eater"),
        ("\uff92\uff93\uff98", "leak-eater"),
    ],
)
def test_three_incidents_are_found_in_either_language(query: str, best: str) -> None:
    hits = Index(incidents().documents()).search(query)
    assert hits
    assert hits[0].id == best
    assert len(hits) == 1 or hits[0].score > hits[1].score


def test_what_is_nowhere_is_not_found_and_every_term_must_be_there() -> None:
    index = Index(incidents().documents())
    assert index.search("火災") == []
    assert index.search("渋滞 漏れ") == []
    assert index.search("止漏") == []
    assert [hit.id for hit in index.search("")] == ["crash_loop-adder", "jam-sums", "leak-eater"]
    assert "渋滞" in index.search("渋滞")[0].piece


def test_a_record_tells_symptom_cause_measure_and_proof() -> None:
    story = incidents()
    leak = story.fold.notes["leak-eater"]
    assert (leak.kind, leak.symptom, leak.cause, leak.times) == (
        "incident",
        "eater grows by 3 % an hour",
        "leak",
        1,
    )
    assert [(item.name, item.worked, item.failed) for item in leak.measures] == [("restart_unit", 1, 0)]
    assert leak.proof == ["d7 worked for eater: generation 2 is ready"]
    loop = story.fold.notes["crash_loop-adder"]
    assert loop.proof == ["closed after 1.0 min: adder-1 stays alive again"]
    text = page(leak)
    for part in (
        "# eater: memory leak / eater:メモリリーク",
        "## Symptom / 症状",
        "restart_unit: worked 1 ×",
    ):
        assert part in text


def test_what_helped_three_times_is_a_solved_pattern_and_what_failed_is_counted() -> None:
    story = Story().say(WorkerStartOrdered(unit="a", pool="a", generation=1, nonce="n"))
    for place in range(3):
        story.decided(ContinueUnit(generation=1), "a", "stopped", "a was stopped from outside")
        story.say(EffectVerified(decision=f"d{story.position}", target="a"))
        assert story.fold.notes["stopped-a"].kind == ("pattern" if place == 2 else "incident")
    story.decided(ContinueUnit(generation=1), "a", "stopped", "a was stopped from outside")
    story.say(EffectFailed(decision=f"d{story.position}", target="a", error="no such process"))
    (measure,) = story.fold.notes["stopped-a"].measures
    assert (measure.worked, measure.failed) == (3, 1)


def test_an_approved_proposal_becomes_a_record_and_an_unanswered_one_does_not() -> None:
    claim = "40 % more tasks come on Fridays"
    action = Propose(
        claim=claim, sql="SELECT 1", gain="one more worker", low=1.2, high=1.7, n=400, risk="cost", rollback="min = 1",
        expires=0,
    )  # fmt: skip
    story = Story().decided(action, "sums", "weekly_pattern", claim, elf="wisdom")
    assert story.fold.notes == {}
    answer = ProposalApproved(decision="d1", elf="wisdom", rule="weekly_pattern", about="sums", reason="yes")
    story.say(answer, source="worker.w")
    assert story.fold.notes == {}
    story.say(answer, source="operator.cli")
    (note,) = story.fold.notes.values()
    assert (note.kind, note.symptom, note.measures[0].name) == ("decision", claim, "one more worker")
    assert "曜日の傾向" in page(note)


def test_what_people_wrote_survives() -> None:
    story = incidents()
    first = page(story.fold.notes["jam-sums"])
    mine = first + "The supplier's server was down.\n納品側の障害。\n"
    story.decided(RaiseAlert(cause="jam", severity="warning"), "sums", "jam", "sums stands still for 90 s")
    story.decided(ClearAlert(cause="jam"), "sums", "jam", "sums moves again")
    second = page(story.fold.notes["jam-sums"], mine)
    assert "納品側の障害。" in second
    assert "sums stands still for 90 s" in second
    assert "sums stands still for 40 s" not in second
    assert second.count("elf-forest writes from here") == 1
    changed = second.replace("sums stands still for 90 s", "sums stood still: the supplier again")
    third = page(story.fold.notes["jam-sums"], changed)
    assert "sums stood still: the supplier again" in third
    assert "sums stands still for 90 s" in third
    assert "納品側の障害。" in third
    assert page(story.fold.notes["jam-sums"], third) == third
    alone = page(story.fold.notes["jam-sums"], "# my own text\n")
    assert alone.startswith("# my own text\n")


def test_a_text_that_looks_like_a_mark_is_harmless() -> None:
    added = KnowledgeAdded(record="n1", title="t", symptom="<!-- elf-forest ends here -->\nx", tags=("電源",))
    story = Story().say(added, source="operator.cli")
    text = page(story.fold.notes["n1"])
    assert page(story.fold.notes["n1"], text) == text
    assert Index({"n1": text}).search("電源")


def test_the_fold_survives_a_snapshot() -> None:
    story = incidents()
    data = msgspec.json.encode(story.fold)
    assert msgspec.json.encode(msgspec.json.decode(data, type=Knowledge)) == data
