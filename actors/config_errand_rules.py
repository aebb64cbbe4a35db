"""What must hold between the keys of jobs, channels and GitHub."""

from collections.abc import Mapping

from actors.config import Forest, references
from actors.config_errands import Channel, Job
from actors.config_errors import Said, Sheet
from actors.config_formats import nearest
from actors.config_lines import Path
from events.subjects import token

GITHUB = "github"


def check_errands(forest: Forest, sheet: Sheet, environ: Mapping[str, str]) -> None:
    """Put into the sheet what is wrong with them."""
    for name, channel in forest.notify.items():
        _channel(("notify", name), channel, sheet, environ)
    for number, job in enumerate(forest.jobs):
        _goals(("job", number, "to"), job, forest, sheet)
        for name, value in job.env.items():
            _references(("job", number, "env", name), value, sheet, environ)
    _github(forest, sheet)


def _channel(path: Path, channel: Channel, sheet: Sheet, environ: Mapping[str, str]) -> None:
    given = [way for way in ("file", "webhook", "command") if getattr(channel, way)]
    if sheet.sound(path[:1], str(path[1])) and len(given) != 1:
        sheet.add(
            path,
            "one of file, webhook and command",
            Said(" and ".join(given) or "none"),
            'file = "alerts.md"',
        )
    try:
        token(str(path[1]))
    except ValueError:
        sheet.add(path, "a name of 1 to 64 letters, digits, '_' or '-'", Said(str(path[1])), "another name")
    _references((*path, "webhook"), channel.webhook, sheet, environ)


def _references(path: Path, value: str, sheet: Sheet, environ: Mapping[str, str]) -> None:
    for wanted in references(value):
        if wanted not in environ:
            sheet.add(path, f"{wanted} in the node's environment", Said("nothing"), f"export {wanted}=...")


def _goals(path: Path, job: Job, forest: Forest, sheet: Sheet) -> None:
    """A report goes to channels, and as an issue or a pull request to GitHub."""
    for number, goal in enumerate(job.to):
        if goal == GITHUB and not forest.github.repo:
            sheet.add((*path, number), "[github] with a repo", Said("none"), "leaving github out")
        elif goal != GITHUB and goal not in forest.notify:
            known = [GITHUB, *forest.notify]
            better = nearest(goal, known)
            hint = f'to = ["{better}"]' if better else f"one of {', '.join(known)}"
            sheet.add((*path, number), "github or a channel of this file", goal, hint)


def _github(forest: Forest, sheet: Sheet) -> None:
    github = forest.github
    if not sheet.sound((GITHUB,), "repo", "token_env") or not github.repo:
        return
    # Whether the variable is set is seen when it is used: without a token nothing else is kept from running.
    if not github.token_env:
        sheet.add((GITHUB, "token_env"), "a variable's name", Said("nothing"), 'token_env = "GITHUB_TOKEN"')
