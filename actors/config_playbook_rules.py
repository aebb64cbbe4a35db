"""What the steps of a playbook must be, and in which order they can work."""

from msgspec.structs import asdict

from actors.config import Forest
from actors.config_errors import Said, Sheet, toml_text
from actors.config_formats import nearest
from actors.config_lines import Path
from actors.elves.playbooks import NOTIFY, OWNERS, PLAYBOOKS, misplaced, missing, usual

_OWNER = "owner"


def check_playbooks(forest: Forest, sheet: Sheet) -> None:
    """Put into the sheet what is wrong with them."""
    for playbook, steps in asdict(forest.playbooks).items():
        if sheet.sound(("playbooks",), playbook):
            _steps(playbook, steps, sheet)
    path: Path = ("playbooks", "worker_not_responding")
    heard = any(name == OWNERS or _OWNER in channel.topics for name, channel in forest.notify.items())
    steps = forest.playbooks.worker_not_responding
    if NOTIFY in steps and not heard and sheet.sound(path[:1], str(path[1])):
        sheet.add(
            (*path, steps.index(NOTIFY)),
            "a channel task_elder, or one with the topic owner",
            Said("none"),
            "[notify.task_elder]",
        )


def _steps(playbook: str, steps: tuple[str, ...], sheet: Sheet) -> None:
    path: Path = ("playbooks", playbook)
    known = [step.name for step in PLAYBOOKS[playbook]]
    whole = f"{playbook} = [{', '.join(map(toml_text, usual(playbook)))}]"
    for place, name in enumerate(steps):
        if name not in known:
            better = nearest(name, known)
            sheet.add(
                (*path, place), f"one of {', '.join(known)}", name, toml_text(better) if better else whole
            )
        elif name in steps[:place]:
            sheet.add((*path, place), "each step once", name, "removing one of them")
    if not steps:
        sheet.add(path, f"one of {', '.join(known)}", Said("no step"), whole)
    if not sheet.sound(path[:1], playbook):
        return
    if lacking := missing(playbook, steps):
        sheet.add(path, f"{lacking}, which cannot be left out", Said(", ".join(steps)), whole)
        return
    for place, before in misplaced(playbook, steps):
        sheet.add(
            (*path, place),
            f"{' or '.join(before)} as a step before {steps[place]}",
            Said(", ".join(steps)),
            whole,
        )
        return
