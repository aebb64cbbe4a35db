"""Calendar days of the forest: which day a moment belongs to, in the time zone that the settings in force name."""

import datetime as dt
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

SECOND = 1_000_000


class Days:
    """Asked in about the order of time, it looks the zone up once a day."""

    def __init__(self, zone: str = "UTC") -> None:
        self.zone = zone
        try:
            self._zone: dt.tzinfo = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._zone = dt.UTC
        self._day, self._start, self._end = dt.date(1970, 1, 1), 0, 0

    def of(self, time: int) -> dt.date:
        """Return the day of a moment (microseconds since 1970)."""
        if not self._start <= time < self._end:
            self._turn(time)
        return self._day

    def _turn(self, time: int) -> None:
        try:
            self._day = dt.datetime.fromtimestamp(time // SECOND, self._zone).date()
            self._start = self._midnight(self._day)
            self._end = self._midnight(self._day + dt.timedelta(days=1))
        except (OverflowError, ValueError):
            # The last day of the year 9999 has no morrow.
            self._day, self._start, self._end = dt.date(9999, 12, 31), time, time + 1

    def _midnight(self, day: dt.date) -> int:
        return int(dt.datetime.combine(day, dt.time(), self._zone).timestamp()) * SECOND
