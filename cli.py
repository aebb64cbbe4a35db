"""The command `elf`: which commands there are; their bodies are loaded when they are called."""

import os
import sys
from collections.abc import Sequence
from typing import Literal

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

CONSOLE = "actors.faces.console"

# name, where its body is, what it is for
COMMANDS = (
    ("node", "node:node", "Run a node: supervise the workers of a forest.toml, decide, record."),
    ("init", "node:init", "Write a commented forest.toml to start from."),
    (
        "import",
        "moving:take_over",
        "Write a forest.toml from a supervisord.conf, and say what it could not carry over.",
    ),
    ("status", "status:status", "Show workers, queues, elves, alerts and what was done lately."),
    ("top", "top:top", "Show the forest live, with keys for what people do."),
    ("submit", "submit:submit", "Submit one task, or many from JSON lines."),
    ("task", "tasks:task", "Show one task, withdraw it (task cancel ID) or try it again (task retry ID)."),
    ("tasks", "tasks:tasks", "List tasks, the latest first."),
    ("dlq", "dlq:dlq", "Dead letters: list them, show one with its evidence, requeue or drop them."),
    ("worker", "worker:worker", "Start, stop, restart, quiet, pause, resume or signal a worker."),
    ("agent", "agents:agent", "Remote agents: credentials, programs, and how they are."),
    ("remind", "remind:remind", "Reminders of workers: list them, add and remove them, try a time out."),
    ("jobs", "remind:jobs", "List what runs by the clock, how it went, and when it runs next."),
    ("report", "report:report", "Print a report as Markdown: progress, quality, performance, proposals."),
    ("logs", "worker:logs", "Show what a worker wrote."),
    ("why", "why:why", "Tell why: the story of a task, a worker or a decision."),
    ("plan", "plan:plan", "List what elves propose or advise and nobody has answered yet."),
    ("approve", "plan:approve", "Say yes to a proposal or a piece of advice."),
    ("reject", "plan:reject", "Say no to a proposal or a piece of advice."),
    ("mode", "controls:mode", "Say how far an elf, or one rule of it, may go: observe, advise or act."),
    ("pause", "controls:pause", "Let every elf only observe (pause --all)."),
    ("resume", "controls:resume", "Let every elf go on in its own mode (resume --all)."),
    ("alert", "controls:alert", "Alerts: list the open ones, acknowledge or silence one."),
    (
        "knowledge",
        "knowledge:knowledge",
        "What was learnt: search it, show a record, add one (knowledge search|show|add).",
    ),
    ("replay", "replay:replay", "Decide everything again from the log and compare."),
    ("tune", "tune:tune", "Search the log for a better distribution of tasks, judge it, propose it."),
    (
        "simulate",
        "simulate:simulate",
        "Compare distribution policies on a scenario, against simulated agents.",
    ),
    ("sql", "sql:sql", "Run one SELECT on events, tasks, workers and decisions."),
    ("daily", "daily:daily", "Analyse a day: load, performance, prevention, recommendations."),
    ("kpi", "kpi:kpi", "Show the indicators of a day and whether their targets are met."),
    ("log", "log:log", "Read the log, verify it, export it, repair it."),
    (
        "backup",
        "backup:backup",
        "Write the whole log into one file, from a running node or a stopped folder.",
    ),
    ("restore", "backup:restore", "Make a data folder out of a backup, with new passwords."),
    ("upgrade", "backup:upgrade", "Bring a stopped data folder to this release."),
    ("mana", "status:mana", "Show what each elf may still spend on disturbing the system."),
    (
        "demo",
        "demo:demo",
        "Run the example forest for half a minute: work, a crash, its healing and the why.",
    ),
    ("doctor", "doctor:doctor", "Check the machine, the data folder and the running node."),
)

app = App(
    name="elf",
    help="Supervise worker processes over one durable event log; replay and explain every decision.",
    help_epilogue=(
        "Exit codes: 0 fine, 1 the answer is no, 2 wrong usage or configuration, 3 log damaged,"
        " 4 node not reachable, 5 cannot say. With --debug a failure shows where it came from."
    ),
    version_flags=["--version"],
    help_format="plaintext",
    help_on_error=False,
    default_parameter=Parameter(negative=(), show_default=lambda value: value or None),
    result_action="return_value",
)
for _place, (_name, _body, _text) in enumerate(COMMANDS):
    app.command(f"{CONSOLE}.{_body}", name=_name, help=_text, sort_key=_place)


@app.command(sort_key=len(COMMANDS))
def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print what lets a shell complete commands, options and their values.

    Parameters
    ----------
    shell
        For bash: elf completion bash > ~/.local/share/bash-completion/completions/elf
    """
    print(app.generate_completion(shell=shell))
    return 0


def _version() -> str:
    from actors.version import version

    return version()


app.version = _version


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; every failure is one line on stderr and an exit code."""
    tokens, debug = _take_debug(list(sys.argv[1:] if argv is None else argv))
    try:
        answer = app(tokens, exit_on_error=False, print_error=False)
        sys.stdout.flush()
        return int(answer) if isinstance(answer, int) else 0
    except CycloptsError as problem:
        if debug:
            raise
        from actors.faces.console.failure import say

        return say(_usage(problem), 2, tokens)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter's own flush at exit must not say so again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as problem:
        if debug:
            raise
        from actors.faces.console.failure import tell

        return tell(problem, tokens)


def _take_debug(tokens: list[str]) -> tuple[list[str], bool]:
    end = tokens.index("--") if "--" in tokens else len(tokens)
    debug = "--debug" in tokens[:end]
    if debug and tokens[:1] != ["node"]:
        tokens.remove("--debug")
    return tokens, debug


def _usage(problem: CycloptsError) -> str:
    """Put the parser's words on one line and name the page that helps."""
    words = " ".join(str(problem).split()).partition(" Available commands:")[0].rstrip(".")
    if isinstance(problem, UnusedCliTokensError):
        words = f"expected no more words, got {' '.join(problem.unused_tokens or ())}"
    chain = " ".join(problem.command_chain or ())
    return f"{words[:1].lower()}{words[1:]}; try elf {chain + ' ' if chain else ''}--help"


if __name__ == "__main__":
    sys.exit(main())
