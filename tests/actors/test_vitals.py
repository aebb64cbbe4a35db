"""What a look at the node means: ready or not, and why not, in the order of what matters most."""

from typing import Any

import pytest
from msgspec.structs import replace

from actors.pulse import Answers
from actors.vitals import LAG, Vitals

FINE = Answers(23, 1.0, (), ())
GOOD = Vitals(
    answers=FINE,
    role="leader",
    position=100,
    epoch=10,
    written=90,
    connected=True,
    ending="",
    lags={"projector": 3, "roster": LAG},
    disk_free=10,
    disk_reserve=5,
)
HUNG = Answers(23, 75.0, (("projector", 74.8),), ())
CASES: list[tuple[dict[str, Any], str]] = [
    ({"answers": Answers(0, 0.0, (), ())}, "starting: the actors"),
    ({"answers": Answers(5, 1.0, (), ("projector", "roster"))}, "starting: projector, roster"),
    ({"position": 9}, "catching up: at 9 of 10"),
    ({"lags": {"a": LAG + 1, "b": LAG + 2}}, f"catching up: b is {LAG + 2} events behind"),
    ({"role": "standing by: disk full", "lags": {"a": LAG + 1}}, "standing by: disk full"),
    ({"connected": False, "role": "standing by: disk full"}, "no connection to nats-server"),
    ({"answers": HUNG, "connected": False}, "hanging: projector for 75 s"),
    ({"ending": "SIGTERM", "answers": HUNG}, "ending: SIGTERM"),
    ({"ending": "another node leads: it took the lease"}, "ending: another node leads: it took the lease"),
]


def test_a_node_that_leads_and_keeps_up_is_ready() -> None:
    assert GOOD.ready() == {
        "ready": True,
        "reason": "leads",
        "role": "leader",
        "position": 100,
        "behind": LAG,
        "connected": True,
    }
    assert GOOD.health() == {"alive": True, "actors": 23, "oldest_answer_s": 1.0, "hung": []}


@pytest.mark.parametrize(("wrong", "reason"), CASES, ids=[reason for _, reason in CASES])
def test_every_other_state_is_not_and_says_why(wrong: dict[str, Any], reason: str) -> None:
    seen = replace(GOOD, **wrong)
    assert seen.readiness() == (False, reason)
    assert seen.alive == (seen.answers is not HUNG)
