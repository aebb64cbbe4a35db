"""Times as people write them: read, written back, refused with what would be accepted."""

import pytest

from projections.when import ACCEPTED, Unreadable, parse_when, split_line, written

SAME = (
    ("17:00", "17:00", "17:00"),
    ("１７：００", "17:00", "17:00"),
    ("毎日 9:05", "09:05", "09:05"),
    ("daily 09:00", "09:00", "09:00"),
    ("月曜 10:00", "月曜 10:00", "Mon 10:00"),
    ("毎週月曜日 10:00", "月曜 10:00", "Mon 10:00"),
    ("月・木曜 10:00", "月・木曜 10:00", "Mon,Thu 10:00"),
    ("weekly mon 10:00", "月曜 10:00", "Mon 10:00"),
    ("Monday 10:00", "月曜 10:00", "Mon 10:00"),
    ("平日 9:00", "平日 09:00", "weekdays 09:00"),
    ("weekend 9:00", "日・土曜 09:00", "Sun,Sat 09:00"),
    ("毎月末 18:00", "毎月末 18:00", "month end 18:00"),
    ("毎月末", "毎月末 09:00", "month end 09:00"),
    ("毎月25日 10:00", "毎月25日 10:00", "monthly 25 10:00"),
    ("30分毎", "30分毎", "every 30m"),
    ("every 30 minutes", "30分毎", "every 30m"),
    ("2時間ごと", "2時間毎", "every 2h"),
    ("15m", "15分毎", "every 15m"),
    ("メモリ80%時", "メモリ80%時", "when memory>=80%"),
    ("when memory >= 80%", "メモリ80%時", "when memory>=80%"),
    ("0 9 * * 1-5", "平日 09:00", "weekdays 09:00"),
    ("*/5 8-18 * * *", "*/5 8-18 * * *", "*/5 8-18 * * *"),
)


@pytest.mark.parametrize(("said", "japanese", "english"), SAME)
def test_what_is_read_is_written_back_and_read_again(said: str, japanese: str, english: str) -> None:
    schedule = parse_when(said)
    assert (written(schedule, "ja"), written(schedule, "en")) == (japanese, english)
    assert parse_when(japanese) == parse_when(english) == schedule


@pytest.mark.parametrize(
    "said",
    [
        "",
        "25:00",
        "いつか",
        "soon",
        "月曜 25:00",
        "every 0m",
        "memory 200%",
        "12",
        "0 9 30 2 *",
        "* * * *",
        "17",
    ],
)
def test_what_says_no_time_is_shown_with_what_would_be_accepted(said: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse_when(said)
    assert str(caught.value) == f"expected {ACCEPTED}, got {said!r}"


def test_a_line_of_the_seed_is_a_time_and_a_text() -> None:
    assert split_line("月曜 10:00 - 週次集計") == ("月曜 10:00", "週次集計")
    assert split_line("every 30m - a - b") == ("every 30m", "a - b")
    with pytest.raises(Unreadable):
        split_line("17:00 without a dash")
