"""What people wish of workers and take back, as the Healing elf follows it."""

from actors.elves.healing_elf import HealingElf
from events.decisions import ClearAlert, StartUnit
from events.observations import IntentSet, ScaleSet
from events.settings import QueueSettings, RestartSettings, WorkerSettings
from tests.elves import Given, settings
from tests.elves.test_healing_elf import given, only


def test_an_alert_of_a_worker_that_people_stop_does_not_clear_as_if_it_were_well_again() -> None:
    story = given(restart=RestartSettings(burst=1)).born("a").died("a", s=0.1)
    story.then()
    story.say(IntentSet(target="a", intent="stop"), source="operator.cli")
    cleared = only(story.then())
    assert (cleared.action, cleared.reason) == (ClearAlert(cause="crash_loop"), "unwanted")
    assert cleared.text == "a is not to run any more"


def test_a_pool_of_a_fixed_size_has_it_again_once_nobody_sets_another() -> None:
    workers = (WorkerSettings(name="p", queue="q", units=("p-1", "p-2"), names=("p-1", "p-2"), launch="1"),)
    story = Given(HealingElf(), settings(workers=workers, queues=(QueueSettings(name="q"),)))
    story.born("p-1", pool="p").born("p-2", pool="p")
    story.say(ScaleSet(pool="p", count=1), source="operator.cli")
    stop = only(story.then())
    assert (stop.target, stop.reason) == ("p-2", "scaled")
    story.died("p-2", code=0).verify(stop).say(ScaleSet(pool="p", count=-1), source="operator.cli")
    start = only(story.tick().then())
    assert (start.target, start.action) == ("p-2", StartUnit(generation=2))
