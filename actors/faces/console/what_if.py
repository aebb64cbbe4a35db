"""`elf replay --policy`: what another distribution policy would have chosen, and what would have come of it."""

from collections.abc import Iterator, Sequence

import msgspec

from actors.elves.distribution import NAMES, distribution
from actors.faces.console.failure import Exit, Failure, closest
from actors.faces.console.output import note, show_json, show_table
from actors.faces.console.source import LogSource
from actors.other_choices import Changes, other_choices
from actors.recorded_work import recorded
from actors.simulator import Choice, Result
from actors.what_if import Calibration, CannotSay, calibrate, closed_loop, enough
from events.envelope import Recorded


def what_if(source: LogSource, policy: str, given: Sequence[str], as_json: bool) -> int:
    """Compare; nothing is written anywhere. Raises Failure, and CannotSay where the log does not allow it."""
    last = source.end()

    def chunks() -> Iterator[Sequence[Recorded]]:
        return source.chunks(0, last)

    asked = choice_of(policy, given) if policy else None
    recording = enough(recorded(chunks()))
    in_force = recording.in_force
    if asked is None:
        asked = choice_of(in_force.policy, given, in_force.parameters)
    calibration = calibrate(recording)
    if calibration.problem:
        raise CannotSay(calibration.problem)
    changes = other_choices(chunks, asked)
    before, after = closed_loop(recording, in_force), closed_loop(recording, asked)
    if as_json:
        found = {
            "policy": asked.policy,
            "parameters": asked.parameters,
            "calibration": calibration,
            "changes": changes,
            "in_force": before,
            "other": after,
        }
        show_json(msgspec.to_builtins(found))
        return Exit.FINE
    _show_calibration(calibration)
    _show_changes(changes, asked)
    show_results([("in force", before), ("instead", after)])
    return Exit.FINE


def choice_of(policy: str, given: Sequence[str], known: dict[str, float] | None = None) -> Choice:
    """Read a policy and `name=value` words. Raises Failure that says what would do."""
    if policy not in NAMES:
        raise Failure(f"expected a distribution policy, got {policy!r}; {closest(policy, list(NAMES))}")
    parameters = dict(known or {})
    for word in given:
        name, equals, value = word.partition("=")
        try:
            parameters[name] = float(value)
        except ValueError:
            raise Failure(f"expected --set NAME=NUMBER, got {word!r}; try --set patience=1.5") from None
        if not equals:
            raise Failure(f"expected --set NAME=NUMBER, got {word!r}; try --set patience=1.5")
    try:
        distribution(policy, parameters)
    except ValueError as problem:
        raise Failure(str(problem)) from None
    return Choice(policy=policy, parameters=parameters)


def named(choice: Choice) -> str:
    """Write a policy with its own parameters on one line."""
    own = ", ".join(f"{name} {value:g}" for name, value in sorted(choice.parameters.items()))
    return f"{choice.policy} ({own})" if own else choice.policy


def seconds(value: float) -> str:
    """Write a duration with three digits at least."""
    return f"{value:,.0f} s" if value >= 1000 else f"{value:.3g} s"


def show_results(rows: Sequence[tuple[str, Result]]) -> None:
    """Print simulated figures side by side."""
    headings = ["simulated", "policy", "mean", "p50", "p95", "p99", "spread", "largest share", "unfinished"]
    show_table(
        headings,
        [
            [
                what,
                named(Choice(policy=one.policy, parameters=one.parameters)),
                seconds(one.mean),
                seconds(one.p50),
                seconds(one.p95),
                seconds(one.p99),
                f"{one.spread:.1f} pt",
                f"{one.share:.1f} %",
                one.unfinished + one.given_up,
            ]
            for what, one in rows
        ],
        numbers=range(2, len(headings)),
    )


def _show_calibration(found: Calibration) -> None:
    print(
        f"{found.tasks:,} tasks, recorded mean {seconds(found.recorded_mean)}, p95 {seconds(found.recorded_p95)};"
        f" the simulator gives {seconds(found.simulated_mean)} and {seconds(found.simulated_p95)}"
    )


def _show_changes(found: Changes, choice: Choice) -> None:
    print(
        f"{found.choices:,} choices in the recorded states: {found.same:,} the same, {found.agent:,} to another agent,"
        f" {found.task:,} another task first, {found.nothing:,} nothing then"
    )
    rows = [
        [
            one.change,
            one.decision[:9],
            one.as_of,
            one.task,
            one.agent,
            one.other_task or "-",
            one.other_agent or "-",
        ]
        for one in found.examples
    ]
    if rows:
        headings = ["changes", "decision", "as of", "task", "agent", "instead", "agent instead"]
        show_table(headings, rows, numbers=(2,))
        note(f"examples of what {named(choice)} would have chosen; elf why DECISION tells what was")
