"""How people write when they want to be reminded, in Japanese, English or as cron; and how it is written back."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Literal

from cronsim import CronSim, CronSimError

from projections.schedule import Schedule

ACCEPTED = (
    '"17:00", "月曜 10:00" or "Mon 10:00", "平日 09:00" or "weekdays 09:00", "毎月末 18:00" or "month end 18:00",'
    ' "30分毎" or "every 30m", "メモリ80%時" or "when memory>=80%", or cron as "0 9 * * 1-5"'
)
# Where a day is given without a time.
_HOUR = "09:00"
_DAYS_JA = "日月火水木金土"
_DAYS_EN = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_WORDS = {"秒": "s", "分": "m", "時間": "h", "日": "d"}

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_EVERY_EN = re.compile(r"(?:every\s+)?(\d+)\s*(s|m|h|d)(?:ec(?:ond)?s?|in(?:ute)?s?|ours?|rs?|ays?)?")
_EVERY_JA = re.compile(r"(\d+)(秒|分|時間|日)(?:毎|ごと|おき)に?")
_MEMORY_JA = re.compile(r"メモリー?(?:使用率)?が?(\d+(?:\.\d+)?)%(?:以上)?(?:の?時)?")
_MEMORY_EN = re.compile(r"(?:when\s+)?memory\s*(?:>=?|above|over|at)?\s*(\d+(?:\.\d+)?)\s*%")
_DAY_JA = re.compile(r"(?:毎週)?([日月火水木金土])(?:曜日?)?")
_DATE = re.compile(r"(?:毎月(\d{1,2})日|monthly\s+(\d{1,2}))")


class Unreadable(ValueError):
    """A text that says no time; the message shows it and what would be accepted."""


def parse_when(text: str) -> Schedule:
    """Read when to remind. Raises Unreadable."""
    said = " ".join(unicodedata.normalize("NFKC", text).strip().lower().split())
    found = _memory(said) or _interval(said) or _clock(said) or _cron(said)
    if found is None:
        raise Unreadable(f"expected {ACCEPTED}, got {text!r}")
    return found


def split_line(line: str) -> tuple[str, str]:
    """Return when and what of `17:00 - 夜間バッチ処理の準備`. Raises Unreadable."""
    when, dash, text = re.sub(r"\s[-‐–—ー]\s", " - ", line, count=1).partition(" - ")
    if not dash or not text.strip():
        raise Unreadable(f'expected "WHEN - TEXT", got {line!r}')
    parse_when(when)
    return when.strip(), text.strip()


def _memory(said: str) -> Schedule | None:
    found = _MEMORY_JA.fullmatch(said.replace(" ", "")) or _MEMORY_EN.fullmatch(said)
    if not found or not 0 < float(found[1]) <= 100:
        return None
    return Schedule(kind="memory", percent=float(found[1]))


def _interval(said: str) -> Schedule | None:
    japanese = _EVERY_JA.fullmatch(said.replace(" ", ""))
    english = _EVERY_EN.fullmatch(said)
    if japanese:
        seconds = int(japanese[1]) * _UNITS[_WORDS[japanese[2]]]
    elif english:
        seconds = int(english[1]) * _UNITS[english[2]]
    elif said in ("毎時", "hourly"):
        seconds = 3600
    else:
        return None
    return Schedule(kind="interval", every_s=seconds) if 0 < seconds <= 366 * 86_400 else None


def _clock(said: str) -> Schedule | None:
    """Read a day, or none for every day, and a time."""
    days, _, last = said.rpartition(" ")
    at = _CLOCK.fullmatch(last)
    if at is None:
        days, at = said, _CLOCK.fullmatch(_HOUR)
        if not days or said.isdigit():
            return None
    assert at is not None
    fields = _days(days)
    if fields is None:
        return None
    return Schedule(kind="clock", cron=f"{int(at[2])} {int(at[1])} {fields[0]} * {fields[1]}")


def _days(said: str) -> tuple[str, str] | None:
    """Return cron's day of the month and day of the week."""
    if said in ("", "毎日", "daily", "every day"):
        return "*", "*"
    if said in ("平日", "weekday", "weekdays"):
        return "*", "1-5"
    if said in ("週末", "土日", "weekend", "weekends"):
        return "*", "0,6"
    if said in ("毎月末", "月末", "month end", "monthly end", "monthly last"):
        return "L", "*"
    date = _DATE.fullmatch(said)
    if date:
        day = int(date[1] or date[2])
        return (str(day), "*") if 1 <= day <= 31 else None
    numbers = _weekdays(said.removeprefix("weekly ").removeprefix("every "))
    return ("*", ",".join(str(number) for number in sorted(numbers))) if numbers else None


def _weekdays(said: str) -> set[int]:
    """Return the named days, Sunday being 0; none of them when one is not understood."""
    found: set[int] = set()
    for part in re.split(r"[・、,]\s*", said):
        japanese = _DAY_JA.fullmatch(part)
        name = part.removesuffix("s")
        if japanese:
            found.add(_DAYS_JA.index(japanese[1]))
        elif len(name) >= 3 and any(full.startswith(name) for full in _FULL):
            found.add(next(day for day, full in enumerate(_FULL) if full.startswith(name)))
        else:
            return set()
    return found


_FULL = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def _cron(said: str) -> Schedule | None:
    fields = said.upper().split()
    if len(fields) != 5:
        return None
    try:
        next(CronSim(" ".join(fields), datetime(2024, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration, ValueError):
        return None
    return Schedule(kind="clock", cron=" ".join(fields))


def written(schedule: Schedule, language: Literal["ja", "en"] = "en") -> str:
    """Return the shortest text that `parse_when` reads as this schedule."""
    japanese = language == "ja"
    if schedule.kind == "memory":
        return f"メモリ{schedule.percent:g}%時" if japanese else f"when memory>={schedule.percent:g}%"
    if schedule.kind == "interval":
        return _interval_written(schedule.every_s, japanese)
    minute, hour, date, month, days = schedule.cron.split()
    if not (minute.isdigit() and hour.isdigit() and month == "*"):
        return schedule.cron
    day = _days_written(date, days, japanese)
    return schedule.cron if day is None else f"{day}{int(hour):02}:{int(minute):02}"


def _interval_written(seconds: int, japanese: bool) -> str:
    letter = next(letter for letter in "dhms" if seconds % _UNITS[letter] == 0)
    count = seconds // _UNITS[letter]
    word = next(word for word, unit in _WORDS.items() if unit == letter)
    return f"{count}{word}毎" if japanese else f"every {count}{letter}"


def _days_written(date: str, days: str, japanese: bool) -> str | None:
    match date, days:
        case "*", "*":
            return ""
        case "*", "1-5":
            return "平日 " if japanese else "weekdays "
        case "L", "*":
            return "毎月末 " if japanese else "month end "
        case _, "*" if date.isdigit():
            return f"毎月{date}日 " if japanese else f"monthly {date} "
        case "*", _ if re.fullmatch(r"[0-6](?:,[0-6])*", days):
            numbers = [int(number) for number in days.split(",")]
            if japanese:
                return "・".join(_DAYS_JA[number] for number in numbers) + "曜 "
            return ",".join(_DAYS_EN[number].capitalize() for number in numbers) + " "
        case _:
            return None
