"""`elf replay`: every decision decided again from what was seen, or the forest as it stood at a moment."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from actors.faces.console.failure import Exit, Failure, closest
from actors.faces.console.options import HERE, Language, WhereOption, language
from actors.faces.console.output import Progress, clock, note, show_json, show_table
from actors.faces.console.source import LogSource
from events.envelope import Recorded


def replay(
    *,
    from_: Annotated[int, Parameter(name="--from")] = 0,
    to: int | None = None,
    elf: str = "",
    until: str = "",
    policy: str = "",
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=(), consume_multiple=False)] = None,
    json: bool = False,
    lang: Language | None = None,
    where: WhereOption = HERE,
) -> int:
    """Decide everything again from the log and compare; exit code 1 when a decision differs.

    Parameters
    ----------
    from_
        Only decisions that rest on this position or a later one.
    to
        Only decisions that rest on this position or an earlier one.
    elf
        Only decisions of this elf.
    until
        Instead: show the forest as it stood at a position, or at a time (2026-07-01T12:00, or 12:00 today).
    policy
        Instead: what if this policy had given tasks to agents? Which choices change, and what would have come of it;
        exit code 5 when the simulator does not reproduce what was recorded, or too little was.
    set_
        A parameter of that policy, as patience=1.5; may be repeated. Without --policy: of the one in force.
    json
        Print {"events", "decisions", "equal", "divergences", "seconds"}; with --until the page of status; with
        --policy {"policy", "parameters", "calibration", "changes", "in_force", "other"}.
    lang
        en or ja, for --until.
    """
    with LogSource(where.place()) as source:
        if until:
            return _show_moment(source, until, json, language(lang))
        if policy or set_:
            from actors.faces.console.what_if import what_if

            return what_if(source, policy, set_ or [], json)
        return _audit(source, from_, to, elf, json)


def _audit(source: LogSource, start: int, end: int | None, elf: str, as_json: bool) -> int:
    from actors.audit import Span
    from actors.audit import replay as audit
    from actors.policies import POLICIES

    names = [policy.name for policy in POLICIES]
    if elf and elf not in names:
        raise Failure(f"expected an elf with a policy, got {elf!r}; {closest(elf, names)}")
    last = source.end()
    progress = Progress("replayed", last)
    report = audit(
        lambda: _chunks(source, last), Span(start, end, elf), progress=lambda done, _: progress.at(done)
    )
    progress.end()
    if as_json:
        show_json(report)
    else:
        _print_report(report)
    return Exit.NO if report.diverges else Exit.FINE


def _chunks(source: LogSource, last: int) -> Iterator[Sequence[Recorded]]:
    """Read to where the log ended when the replay began: it is read twice and must not grow in between."""
    return source.chunks(0, last)


def _print_report(report: Any) -> None:
    rate = f" ({report.events / report.seconds:,.0f}/s)" if report.seconds else ""
    print(
        f"{report.events:,} events, {report.decisions:,} decisions: {report.equal:,} equal,"
        f" {len(report.divergences):,} differences, {report.seconds:.2f} s{rate}"
    )
    for what, count in report.other_versions.items():
        note(f"decided by another policy version: {what}, {count} times")
    for release in report.other_code:
        note(f"recorded by other code: {release}")
    if report.unwritten or report.unknown:
        note(f"{report.unwritten} lost with their node, {report.unknown} of elves that this release has not")
    if report.divergences:
        rows = [
            [
                item.cls,
                item.decision,
                f"{item.elf}.{item.rule}",
                item.target,
                item.as_of,
                item.field,
                _short(item.recorded),
                _short(item.replayed),
            ]
            for item in report.divergences[:200]
        ]
        headings = ["class", "decision", "rule", "target", "as of", "field", "recorded", "replayed"]
        show_table(headings, rows, numbers=(4,))
        if len(report.divergences) > 200:
            note(f"and {len(report.divergences) - 200} more; try --json")


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."


def _show_moment(source: LogSource, until: str, as_json: bool, lang: Language) -> int:
    from projections.status import Status

    position, moment = _parse(until)
    fold = Status()
    seen = 0
    progress = Progress("folded", position or source.end())
    for chunk in source.chunks(0, position):
        for event in chunk:
            if moment is not None and event.source.startswith("node.") and event.time > moment:
                break
            fold.apply(event)
            seen = event.position
        else:
            progress.at(seen)
            continue
        break
    progress.end()
    if not seen:
        raise Failure(f"expected events up to {until}, got none; try a later moment", Exit.NO)
    page = {"position": seen, "time": fold.timeline.now / 1e6, **fold.page(fold.timeline.now)}
    if as_json:
        show_json(page)
        return Exit.FINE
    from actors.faces.console.status import show_page

    print(f"position {seen}  {clock(fold.timeline.now)}")
    show_page(page, lang)
    return Exit.FINE


def _parse(until: str) -> tuple[int | None, int | None]:
    """Return a position, or a time in microseconds since 1970."""
    if until.isdigit():
        return int(until), None
    today = datetime.now().astimezone().date().isoformat()
    for text in (until, f"{today}T{until}"):
        try:
            return None, int(datetime.fromisoformat(text).astimezone().timestamp() * 1e6)
        except ValueError:
            continue
    raise Failure(f"expected a position or a time after --until, got {until!r}; try 1200 or 2026-07-01T12:00")
