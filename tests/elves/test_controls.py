"""What people allow elves counts before the file; what they say of alerts keeps them quiet; replay knows both."""

from actors.audit import replay
from actors.elves.flow_elf import FlowElf
from actors.elves.healing_elf import HealingElf
from events.controls import AlertAcknowledged, AlertSilenced, ElvesPaused, ElvesResumed, ModeSet
from events.decisions import Decided, RaiseAlert
from events.settings import ChannelSettings, ElfSettings
from projections.alerts import Alerts
from projections.controls import Controls
from projections.outbox import Outbox
from projections.status import Status
from tests.elves import Given, queue, sample, settings
from tests.folds.test_small_folds import at, decided
from tests.replay import Forest
from tests.replay import queue as held
from tests.replay import settings as small
from tests.replay import unit as seen

PERSON = "operator.cli"
SECOND = 1_000_000


def suspended(elf: ElfSettings) -> Given:
    """Return a story in which Healing would continue a unit that somebody stopped."""
    story = Given(HealingElf(), settings(elves=(elf,))).born("a").born("b").born("w")
    return story.tick(sample("a", "T")).tick(sample("a", "T"))


def modes(story: Given) -> list[str]:
    """Return how far the elf would go with the stopped unit."""
    return [said.mode for said in story.ask() if said.rule == "stopped"]


def test_a_persons_word_counts_before_the_file_until_it_is_taken_back() -> None:
    story = suspended(ElfSettings(name="healing", rules={"stopped": "advise"}))
    assert modes(story) == ["advise"]
    story.say(ModeSet(elf="healing", mode="act"), source=PERSON)
    assert modes(story) == ["act"]
    story.say(ModeSet(elf="healing", rule="stopped", mode="observe"), source=PERSON)
    assert modes(story) == ["observe"]
    story.adopt(settings(elves=(ElfSettings(name="healing", mode="act"),)))
    assert modes(story) == ["observe"]
    story.say(ModeSet(elf="healing", rule="stopped", mode="file"), source=PERSON)
    story.say(ModeSet(elf="healing", mode="file"), source=PERSON)
    assert modes(story) == ["act"]


def test_nobody_but_a_person_changes_a_mode_or_pauses() -> None:
    story = suspended(ElfSettings(name="healing"))
    for source in ("worker.w", "agent.CC01", "client.cli", "node.n"):
        story.say(ElvesPaused(), ModeSet(elf="healing", mode="observe"), source=source)
    assert modes(story) == ["act"]


def test_a_pause_outdoes_every_mode_and_its_end_brings_them_back() -> None:
    story = suspended(ElfSettings(name="healing"))
    story.say(ModeSet(elf="healing", rule="stopped", mode="advise"), ElvesPaused(), source=PERSON)
    assert modes(story) == ["observe"]
    story.say(ElvesResumed(), source=PERSON)
    assert modes(story) == ["advise"]


def test_what_is_only_advice_acts_by_a_word_about_this_very_rule() -> None:
    controls, elf = Controls(), ElfSettings(name="balance")
    controls.apply(at(1, ModeSet(elf="balance", mode="act"), source=PERSON))
    assert (controls.mode(elf, "redistribute", advice=True), controls.mode(elf, "assign")) == (
        "advise",
        "act",
    )
    controls.apply(at(2, ModeSet(elf="balance", rule="redistribute", mode="act"), source=PERSON))
    assert controls.mode(elf, "redistribute", advice=True) == "act"
    assert (controls.of(elf), controls.rules(elf)) == ("act", {"redistribute": "act"})


def test_every_elf_looks_up_when_a_person_changes_how_far_it_may_go() -> None:
    forest = Forest()
    forest.lead(small())
    forest.obey()
    forest.say(ElvesPaused(), source=PERSON)
    for _ in range(3):
        forest.tick([seen("a", status="T")], [held(150)])
    forest.land()
    before = len(forest.log.events)
    assert {body.mode for body in bodies(forest) if body.rule in ("stopped", "backlog")} == {"observe"}
    forest.say(ElvesResumed(), source=PERSON)
    forest.land()
    after = [event.body for event in forest.log.events[before:] if isinstance(event.body, Decided)]
    assert {(body.rule, body.mode) for body in after} >= {("stopped", "act"), ("backlog", "act")}
    report = replay(forest.source)
    assert report.divergences == []
    assert report.equal == report.decisions > 0


def bodies(forest: Forest) -> list[Decided]:
    """Return every decision of a forest."""
    return [event.body for event in forest.log.events if isinstance(event.body, Decided)]


def backlog() -> Given:
    """Return a story in which Flow has raised an alert about a queue."""
    story = Given(FlowElf()).tick(queues=[queue(150)]).tick(queues=[queue(150)])
    assert [body.rule for body in story.then()] == ["backlog"]
    return story


def test_an_acknowledged_alert_is_not_said_again_and_closes_by_itself() -> None:
    story = backlog()
    story.say(AlertAcknowledged(alert="backlog", about="q"), source=PERSON)
    assert [body for body in story.tick(queues=[queue(150)], s=86_400).ask() if body.rule == "backlog"] == []
    story.tick(queues=[queue(1)])
    assert [body.rule for body in story.tick(queues=[queue(1)]).then() if body.rule == "backlog"] == [
        "backlog"
    ]
    assert story.mind.view.alerts.open == {}


def test_a_silenced_alert_is_said_again_when_the_silence_is_over() -> None:
    story = backlog()
    story.say(AlertSilenced(alert="backlog", about="q", seconds=7200), source=PERSON)
    quiet = story.tick(queues=[queue(150)], s=7100).ask()
    assert [body for body in quiet if body.rule == "backlog"] == []
    assert [body.rule for body in story.tick(queues=[queue(150)], s=200).ask()].count("backlog") == 1


def test_an_alert_that_grows_worse_is_not_known_any_more() -> None:
    alerts = Alerts({})
    alerts.apply(decided(RaiseAlert(cause="job", severity="warning"), target="j"), 1)
    alerts.answer(AlertAcknowledged(alert="job", about="j"), 2)
    assert not alerts.open["job/j"].owed(10**12, (900.0,))
    alerts.apply(decided(RaiseAlert(cause="job", severity="critical", again=True), target="j"), 3)
    assert alerts.open["job/j"].owed(10**12, (900.0,))


def test_channels_are_told_nothing_of_a_silenced_alert() -> None:
    channels = (ChannelSettings(name="team", topics=("warning", "critical")),)
    story = Given(FlowElf(), settings(channels=channels))
    story.say(AlertSilenced(alert="backlog", about="q", seconds=60), source=PERSON)
    story.say(AlertSilenced(alert="jam", about="q", seconds=1e300), source="worker.w")
    story.say(decided(RaiseAlert(cause="backlog", severity="warning"), target="q"))
    story.say(decided(RaiseAlert(cause="jam", severity="critical"), target="q"))
    story.say(decided(RaiseAlert(cause="backlog", severity="warning", again=True), target="q"), s=61)
    outbox = Outbox()
    for event in story.events:
        outbox.apply(event)
    assert [notice.topic for notice in outbox.waiting["team"].values()] == ["critical", "warning"]


def test_no_number_of_seconds_stops_a_fold() -> None:
    alerts = Alerts({})
    for seconds in (1e300, -5.0, 0.0):
        alerts.answer(AlertSilenced(alert="jam", about="q", seconds=seconds), 10)
    assert alerts.silences == {}
    alerts.answer(AlertSilenced(alert="jam", about="q", seconds=1e300), 10)
    assert alerts.silent("jam", "q", 10**12)


def test_the_status_page_says_all_of_it() -> None:
    story = Given(FlowElf(), settings(elves=(ElfSettings(name="flow", rules={"jam": "advise"}),)))
    story.tick(queues=[queue(150)]).tick(queues=[queue(150)]).then()
    story.say(ModeSet(elf="flow", rule="skew", mode="observe"), source=PERSON)
    story.say(AlertAcknowledged(alert="backlog", about="q"), source=PERSON)
    story.say(AlertSilenced(alert="backlog", about="q", seconds=60), source=PERSON)
    status = Status()
    for event in story.events:
        status.apply(event)
    page = status.page(story.now)
    (elf,), (alert,) = page["elves"], page["alerts"]
    assert (elf["mode"], elf["rules"], elf["set"], page["paused"]) == (
        "act",
        {"jam": "advise", "skew": "observe"},
        None,
        False,
    )
    assert (alert["acknowledged"], alert["silent_until"]) == (True, story.now / SECOND + 60)
    story.say(ElvesPaused(), ModeSet(elf="flow", mode="advise"), source=PERSON)
    for event in story.events[-2:]:
        status.apply(event)
    page = status.page(story.now)
    assert (page["elves"][0]["mode"], page["elves"][0]["set"], page["paused"]) == ("observe", "advise", True)
