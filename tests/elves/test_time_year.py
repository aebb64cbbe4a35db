"""One simulated year of reminders: the six lines of the seed, both changes of the clocks, a night without a node."""

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from actors.config_times import reminder_name
from actors.elves.time_elf import TimeElf
from actors.zones import zone_of
from events.decisions import Decided, Remind
from events.settings import ReminderSettings, Settings, WorkerSettings
from projections.schedule import next_after
from projections.when import parse_when, split_line, written
from tests.elves import SECOND, Given, sample

SEED = (
    ("enhanced_task_worker", "17:00 - 夜間バッチ処理の準備"),
    ("enhanced_task_worker", "23:00 - ログローテーション"),
    ("intelligent_pm_worker", "09:00 - 日次レポート生成"),
    ("intelligent_pm_worker", "月曜 10:00 - 週次集計"),
    ("async_result_worker", "30分毎 - 結果キューチェック"),
    ("async_result_worker", "メモリ80%時 - GC実行"),
)
HOUR = 3600


def forest(lines: tuple[tuple[str, str], ...], zone: str) -> Settings:
    """Return settings with one task worker for each name of the lines."""
    reminders = []
    for worker, line in lines:
        when, text = split_line(line)
        name = reminder_name(worker, when, zone, text)
        reminders.append(ReminderSettings(name=name, worker=worker, when=when, text=text, zone=zone))
    workers = tuple(
        WorkerSettings(name=name, queue="q", units=(name,), memory_limit=1000, launch="1")
        for name in sorted({worker for worker, _ in lines})
    )
    return Settings(
        node="n", timezone=zone, workers=workers, reminders=tuple(reminders), zones=(zone_of(zone),)
    )


def moment(text: str, zone: str) -> int:
    """Return microseconds of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


class Year:
    """Steps from one due time to the next; `fired` are (words, due in local time, seconds late)."""

    def __init__(self, lines: tuple[tuple[str, str], ...], zone: str, start: str) -> None:
        self.zone = zone
        self.given = Given(TimeElf(), Settings(node="n"))
        self.given.now = moment(start, zone)
        self.given.adopt(forest(lines, zone))
        self.fired: list[tuple[str, datetime, int]] = []

    def until(self, end: str) -> None:
        """Let the node live until then."""
        stop = moment(end, self.zone)
        while True:
            due = self.given.due
            if not due or self.given.now + int(due * SECOND) > stop:
                self._look((stop - self.given.now) / SECOND)
                return
            self._look(due)

    def away(self, end: str) -> None:
        """Let the node be dead until then: the next thing it sees is later."""
        self._look((moment(end, self.zone) - self.given.now) / SECOND)

    def _look(self, seconds: float) -> None:
        self.given.tick(s=seconds)
        for decided in self.given.then():
            assert isinstance(decided.action, Remind)
            due = datetime.fromtimestamp(decided.action.due / SECOND, ZoneInfo(self.zone))
            self.fired.append((decided.action.words, due, decided.action.late_s))
            self.given.verify(decided)
        del self.given.events[:-2]

    def of(self, words: str) -> list[datetime]:
        """Return the local times of one reminder."""
        return [due for said, due, _ in self.fired if said == words]


def test_the_six_lines_parse_and_are_written_back() -> None:
    for _, line in SEED:
        when, text = split_line(line)
        assert f"{written(parse_when(when), 'ja')} - {text}" == line
        assert parse_when(written(parse_when(when), "en")) == parse_when(when)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Europe/Berlin"])
def test_each_line_of_the_seed_fires_at_its_instants_for_a_year(zone: str) -> None:
    year = Year(SEED, zone, "2026-01-01T00:00:00")
    year.until("2027-01-01T00:00:00")
    days = [datetime(2026, 1, 1) + timedelta(days=number) for number in range(365)]  # noqa: DTZ001
    for words, hour in (("夜間バッチ処理の準備", 17), ("ログローテーション", 23), ("日次レポート生成", 9)):
        assert [due.replace(tzinfo=None) for due in year.of(words)] == [
            day.replace(hour=hour) for day in days
        ]
    mondays = [day.replace(hour=10) for day in days if day.weekday() == 0]
    assert [due.replace(tzinfo=None) for due in year.of("週次集計")] == mondays
    checks = [due.timestamp() for due in year.of("結果キューチェック")]
    assert len(checks) == 365 * 48
    assert {later - earlier for earlier, later in pairwise(checks)} == {1800.0}
    assert not year.of("GC実行")
    assert {late for _, _, late in year.fired} == {0}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_an_hour_that_is_skipped_and_one_that_comes_twice(zone: str) -> None:
    year = Year((("w", "02:15 - 夜の点検"),), zone, "2026-01-01T12:00:00")
    year.until("2027-01-01T12:00:00")
    data = zone_of(zone)
    in_year = [at for at, _ in data.changes if 1767225600 <= at < 1798761600]
    fired = year.of("夜の点検")
    assert len(fired) == 365
    assert len({due.date() for due in fired}) == 365
    odd = [due for due in fired if (due.hour, due.minute) != (2, 15)]
    skipped = [at for at in in_year if _gap_covers(zone, at, 2, 15)]
    assert [int(due.timestamp()) for due in odd] == skipped
    # What rolls on does so in real time, through both changes.
    assert len(in_year) == 2
    for change in in_year:
        day = datetime.fromtimestamp(change, ZoneInfo(zone)).date()
        around = Year((("w", "*/30 * * * * - 見回り"),), zone, f"{day - timedelta(days=2)}T12:00:00")
        around.until(f"{day + timedelta(days=2)}T12:00:00")
        rounds = [due.timestamp() for due in around.of("見回り")]
        assert rounds[0] < change < rounds[-1]
        assert {later - earlier for earlier, later in pairwise(rounds)} == {1800.0}


def _gap_covers(zone: str, change: int, hour: int, minute: int) -> bool:
    before = datetime.fromtimestamp(change - 1, ZoneInfo(zone))
    after = datetime.fromtimestamp(change, ZoneInfo(zone))
    wall = before.replace(hour=hour, minute=minute, second=0).replace(tzinfo=None)
    return before.replace(tzinfo=None) < wall < after.replace(tzinfo=None)


def test_what_a_dead_node_missed_is_told_once_and_late() -> None:
    year = Year(SEED[:5], "Asia/Tokyo", "2026-03-01T12:00:00")
    year.until("2026-03-01T16:00:00")
    year.fired.clear()
    year.away("2026-03-04T18:20:00")
    late = {words: (due.isoformat(), seconds) for words, due, seconds in year.fired}
    assert len(year.fired) == 5
    assert late == {
        "夜間バッチ処理の準備": ("2026-03-04T17:00:00+09:00", 4800),
        "ログローテーション": ("2026-03-03T23:00:00+09:00", 69600),
        "日次レポート生成": ("2026-03-04T09:00:00+09:00", 33600),
        "週次集計": ("2026-03-02T10:00:00+09:00", 202800),
        "結果キューチェック": ("2026-03-04T18:00:00+09:00", 1200),
    }
    year.fired.clear()
    year.until("2026-03-04T23:00:01")
    assert [words for words, _, _ in year.fired if words != "結果キューチェック"] == ["ログローテーション"]


def test_a_reminder_by_memory_fires_once_for_each_rise() -> None:
    given = Given(TimeElf(), forest(SEED, "Asia/Tokyo")).born("async_result_worker")

    def at(percent: int, s: float = 60.0) -> list[Decided]:
        given.tick(sample("async_result_worker", memory=percent * 10), s=s)
        decided = [each for each in given.then() if each.rule == "condition"]
        for each in decided:
            given.verify(each)
        return decided

    assert at(79) == []
    (first,) = at(80)
    assert isinstance(first.action, Remind)
    assert (first.action.unit, first.action.request, first.cost) == ("async_result_worker", "gc", 2)
    assert at(95, 700) == [], "still above: one rise, one request"
    assert at(72, 700) == []
    assert at(85, 700) == [], "it did not fall below 70"
    assert at(69, 60) == []
    assert len(at(81, 60)) == 1
    assert at(60, 60) == []
    assert at(90, 60) == [], "not ten minutes apart"
    assert len(at(90, 600)) == 1


def test_the_next_times_follow_from_data_alone() -> None:
    zone = zone_of("Europe/Berlin")
    schedule = parse_when("02:30")
    spring = moment("2026-03-28T12:00:00", "Europe/Berlin")
    assert next_after(schedule, zone, spring) == moment("2026-03-29T03:00:00", "Europe/Berlin")
