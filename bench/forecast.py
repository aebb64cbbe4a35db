"""How often the forecast of an overload one hour ahead is right, and how many overloads it foresees.

Each series is walked from its beginning, slot by slot, as the elf walks a load. The limit is the 90th percentile of
the first half; judged is the second half. An alert is right if an overload of at least 15 minutes begins within the 90
minutes after it; while an alert waits for its overload no other is raised. An overload is foreseen if an alert was
raised in the 90 minutes before it. A series abstains that may not speak for more than half of the judged time.

DATA is a folder with ms_cloud_monitoring (github.com/microsoft/cloud-monitoring-dataset) and, as far as wanted, nab
(github.com/numenta/NAB, its data folder), dc_util (github.com/alejandrofdez-us/DataCenter-Traces-Datasets) and gentd26
(github.com/alibaba/clusterdata, cluster-trace-v2026-GenAI); what is not there is left out.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.elves.forecast import SLOT_US
from actors.elves.forecast import Series as Forecast
from actors.elves.forecast_trials import LEAD, RUN
from bench.figures import Report, arguments, machine
from bench.series import Series, load_series

SHARE = 0.9


class Score:
    """Counts of one series or of many."""

    def __init__(self) -> None:
        self.alerts = self.right = self.overloads = self.foreseen = 0
        self.series = self.abstaining = 0
        self.spoke_overloads = self.spoke_foreseen = 0

    def add(self, other: "Score") -> None:
        """Take another's counts in."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def precision(self) -> float:
        """Alerts that were right."""
        return self.right / self.alerts if self.alerts else 0.0

    @property
    def recall(self) -> float:
        """Overloads that were foreseen."""
        return self.foreseen / self.overloads if self.overloads else 0.0

    @property
    def spoken_recall(self) -> float:
        """The same among series that do not abstain."""
        return self.spoke_foreseen / self.spoke_overloads if self.spoke_overloads else 0.0


def overloads(values: Sequence[float], limit: float) -> list[int]:
    """Return where runs of at least 15 minutes above the limit begin."""
    begins, start = [], -1
    for place, value in enumerate([*values, float("-inf")]):
        if value > limit:
            start = place if start < 0 else start
        else:
            if start >= 0 and place - start >= RUN:
                begins.append(start)
            start = -1
    return begins


def walk(series: Series, limit: float) -> tuple[list[int], list[bool]]:
    """Return the slots at which alerts are raised, and for each slot whether the series abstains."""
    forecast = Forecast()
    alerts: list[int] = []
    abstains: list[bool] = []
    opened, over = -1, 0
    for place, value in enumerate([*series.values, series.values[-1]]):
        if not forecast.observe((series.first + place) * SLOT_US, value, limit):
            continue
        now = place - 1
        over = over + 1 if series.values[now] > limit else 0
        began = now - RUN + 1 if over == RUN else -1
        if opened >= 0 and (began > opened or now - opened >= LEAD + RUN - 1):
            opened = -1
        outlook = forecast.outlook(limit)
        abstains.append(bool(outlook.abstains))
        if outlook.alert and opened < 0:
            opened = now
            alerts.append(now)
    return alerts, abstains


def judge(series: Series, share: float) -> Score:
    """Score the second half of a series."""
    half = len(series.values) // 2
    ordered = sorted(series.values[:half])
    limit = ordered[int(share * (half - 1))]
    alerts, abstains = walk(series, limit)
    alerts = [at for at in alerts if at >= half]
    begins = [at for at in overloads(series.values, limit) if at >= half]
    score = Score()
    score.series = 1
    score.abstaining = int(sum(abstains[half:]) * 2 > len(abstains[half:]))
    score.alerts = len(alerts)
    score.right = sum(any(at < begin <= at + LEAD for begin in begins) for at in alerts)
    score.overloads = len(begins)
    score.foreseen = sum(any(at < begin <= at + LEAD for at in alerts) for begin in begins)
    if not score.abstaining:
        score.spoke_overloads, score.spoke_foreseen = score.overloads, score.foreseen
    return score


def main() -> None:
    """Judge every series below DATA and say the figures by group and for all."""
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder with the data sets")
    parser.add_argument("--share", type=float, default=SHARE, help="the limit's quantile in the first half")
    options = parser.parse_args()
    report = Report("forecast", options.json)
    print(machine())
    groups: dict[str, Score] = {}
    for series in load_series(options.data):
        score = judge(series, options.share)
        print(
            f"  {series.group:<13} {series.name[:40]:<40} alerts right {score.right}/{score.alerts}"
            f"  overloads foreseen {score.foreseen}/{score.overloads}{'  abstains' * score.abstaining}"
        )
        groups.setdefault(series.group, Score()).add(score)
        groups.setdefault("all", Score()).add(score)
    if not groups:
        raise SystemExit(f"expected data sets below {options.data}, found none; see --help for what is read")
    for group in [name for name in groups if name != "all"] + ["all"]:
        score = groups[group]
        goals = (">= 0.80", ">= 0.60", "<= 30 %") if group == "seasonal" else ("", "", "")
        right = f"{score.right} of {score.alerts}"
        report.row(
            f"{group}: precision", score.precision, "", goal=goals[0], series=score.series, right=right
        )
        foreseen = f"{score.foreseen} of {score.overloads}"
        spoken = score.spoken_recall
        report.row(
            f"{group}: recall", score.recall, "", goal=goals[1], foreseen=foreseen, without_abstaining=spoken
        )
        share = 100.0 * score.abstaining / score.series
        report.row(f"{group}: abstaining series", share, "%", goal=goals[2])


if __name__ == "__main__":
    main()
