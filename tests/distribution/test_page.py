"""The page on distribution names every policy and every parameter as it is."""

from pathlib import Path

import pytest

from actors.elves.distribution import NAMES, PARAMETERS, distribution
from events.settings import DistributionSettings

PAGE = (Path(__file__).parents[2] / "docs/distribution.md").read_text(encoding="utf-8")


def test_the_page_has_every_policy_and_every_parameter() -> None:
    rows = [
        f"| `{policy}` | `{item.name}` | {item.default:g} | {item.low:g} to {item.high:g} | {item.text} |"
        for policy, items in PARAMETERS.items()
        for item in items
    ]
    said = PAGE.split("| policy | parameter |")[1].split("\n\n")[0].splitlines()[2:]
    assert said == rows
    assert all(f"| `{name}` | " in PAGE for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_lie_in_their_ranges_and_others_are_refused_in_one_line(name: str) -> None:
    policy = distribution(name)
    assert policy.values == {item.name: item.default for item in PARAMETERS[name]}
    for item in PARAMETERS[name]:
        for value in (item.low, item.high):
            assert distribution(name, {item.name: value}).values[item.name] == value
        for value in (item.low - 1, item.high + 1, float("nan")):
            with pytest.raises(ValueError, match=f"{item.name}: expected a number between .*; try") as caught:
                distribution(name, {item.name: value})
            assert "\n" not in str(caught.value)


def test_an_unknown_policy_or_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected one of .*, got 'best'; try"):
        distribution("best")
    with pytest.raises(ValueError, match=r"zeal: expected a parameter of jsq: no parameters, got 1"):
        distribution("jsq", {"zeal": 1})


def test_a_log_that_does_not_say_how_speeds_are_learnt_is_read_as_it_was_written() -> None:
    before, now = distribution("pull_best", learning=1), distribution("pull_best")
    assert (before.version, before.values["known"]) == ("1", 5)
    assert (now.version, now.values["known"]) == ("2", 2)
    assert DistributionSettings().learning == 1
    assert distribution("seed", learning=1).version == distribution("seed").version
