"""Names of indicators as forest.toml may write them, in English or in the seed's Japanese."""

from actors.config import Forest
from actors.config_errors import Sheet, toml_text
from actors.config_formats import nearest
from events.settings import INDICATORS

SHARES = ("completion_rate", "error_rate", "type_safety", "single_point_share", "alert_precision")


def check_indicators(forest: Forest, sheet: Sheet) -> None:
    """Put into the sheet targets of indicators that there are not, and shares beyond 0 to 1."""
    known = {name: name for name in INDICATORS.values()} | INDICATORS
    for name, target in forest.kpi.targets.items():
        path = ("kpi", "targets", name)
        if name not in known:
            better = nearest(name, known)
            sheet.add(path, "an indicator", name, better or f"one of {', '.join(INDICATORS.values())}")
        elif target < 0 or (known[name] in SHARES and target > 1):
            expected = "a share from 0 to 1" if known[name] in SHARES else "0 or more"
            sheet.add(path, expected, target, toml_text(0.95 if known[name] in SHARES else 20.0))
