"""`elf agent`: remote agents, their credentials, their programs, and what people want of them."""

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from actors.client import Client
from actors.faces.console.agent_table import show_agents
from actors.faces.console.failure import Exit, Failure, closest
from actors.faces.console.options import HERE, Language, WhereOption, language
from actors.faces.console.output import note, show_json
from actors.place import Place
from events.agents import AgentIntent, AgentIntentSet
from events.log import entry
from events.subjects import token

agent = App(
    name="agent",
    help="Remote agents: give them credentials, run their programs, see how they are, send them away.",
)


@agent.command
def run(
    name: str,
    /,
    *,
    exec: Annotated[str, Parameter(name="--exec")],
    cred: Path | None = None,
    wip: Annotated[int, Parameter(name="--wip")] = 1,
    stdin: Literal["json", "prompt"] = "json",
    cwd: Path = Path("."),
    state: Path | None = None,
    where: WhereOption = HERE,
) -> int:
    """Be an agent: take what it is assigned and have a command do it, until SIGTERM or Ctrl-C.

    Parameters
    ----------
    name
        The agent's name.
    exec
        The command for each task, split once into arguments and never given to a shell. It reads the task on its
        standard input and prints the result; an exit code other than 0 is a failure.
    cred
        The agent's credentials file, as elf agent add made it; by default that of the data folder.
    wip
        So many tasks at once.
    stdin
        What the command reads: json is the task as one object, prompt is the text of its payload alone.
    cwd
        The folder in which the command runs; files that change there count as progress.
    state
        A folder for what must outlive this program; by default beside the credentials.
    """
    from actors.agent_program import run_agent
    from actors.agent_spec import AgentSpec, agent_credentials, runnable, split

    if wip < 1:
        raise Failure(f"expected --wip of at least 1, got {wip}")
    if not cwd.is_dir():
        raise Failure(f"expected a folder to work in, got {cwd}; try --cwd .")
    path = cred or _own_file(where.place(), name)
    known = agent_credentials(name, path)
    if where.nats:
        from msgspec.structs import replace

        known = replace(known, url=where.nats)
    spec = AgentSpec(
        name=name,
        command=runnable(split(exec), cwd),
        credentials=known,
        state=(state or path.parent / f"{path.stem}.state").absolute(),
        cwd=cwd.absolute(),
        wip=wip,
        stdin=stdin,
    )
    return asyncio.run(run_agent(spec))


def _own_file(place: Place, name: str) -> Path:
    """Return where this machine's forest keeps an agent's credentials."""
    from actors.permissions import agent_file

    if place.data is None:
        raise Failure("expected a credentials file or a data folder, got an address alone; try --cred FILE")
    return agent_file(place.data / "secrets", name)


@agent.command
def add(name: str, /, *, json: bool = False, where: WhereOption = HERE) -> int:
    """Give an agent credentials of its own; carry the file that is named to the agent's machine.

    Parameters
    ----------
    name
        1 to 64 letters, digits, '_' or '-'.
    json
        Print {"agent", "new", "path", "credentials"}.
    """
    answer = _manage(where.place(), "add", name, "")
    if json:
        show_json(answer)
        return Exit.FINE
    print(answer["path"])
    word = "has credentials" if answer["new"] else "had credentials already"
    note(
        f"agent {name} {word}; on its machine: elf agent run {name} --cred agent-{name}.json --exec 'COMMAND'"
    )
    return Exit.FINE


@agent.command
def revoke(name: str, /, *, reason: str = "", json: bool = False, where: WhereOption = HERE) -> int:
    """Withdraw an agent's credentials: it is disconnected, and what it held goes to others.

    Parameters
    ----------
    name
        The agent's name.
    reason
        Why, for the log.
    json
        Print {"agent"}.
    """
    answer = _manage(where.place(), "revoke", name, reason)
    if json:
        show_json(answer)
    else:
        print(f"{name}: revoked")
    return Exit.FINE


def _manage(place: Place, do: str, name: str, reason: str) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        async with await Client.open(place, "operator") as client:
            return await client.ask("agent", {"do": do, "name": _token(name), "reason": reason}, 30.0)

    return asyncio.run(ask())


def _token(name: str) -> str:
    try:
        return token(name, "an agent's name")
    except ValueError as problem:
        raise Failure(str(problem)) from None


def _wish(name: str, intent: AgentIntent, word: str, reason: str, place: Place, as_json: bool) -> int:
    async def say() -> int:
        async with await Client.open(place, "operator") as client:
            known = [row["name"] for row in (await client.ask("status"))["agents"]]
            if _token(name) not in known:
                raise Failure(f"expected an agent, got {name!r}; {closest(name, known)}", Exit.NO)
            body = AgentIntentSet(agent=name, intent=intent, reason=reason)
            return (await client.log.append([entry(client.envelope(body))])).positions[-1]

    position = asyncio.run(say())
    if as_json:
        show_json({"agent": name, "intent": intent, "position": position})
    else:
        print(f"{name}: {word} (position {position})")
    return Exit.FINE


@agent.command
def drain(name: str, /, *, reason: str = "", json: bool = False, where: WhereOption = HERE) -> int:
    """Let it finish what it has and take nothing new.

    Parameters
    ----------
    name
        The agent's name.
    reason
        Why, for the log.
    json
        Print {"agent", "intent", "position"}.
    """
    return _wish(name, "drain", "drains", reason, where.place(), json)


@agent.command
def readmit(name: str, /, *, reason: str = "", json: bool = False, where: WhereOption = HERE) -> int:
    """Let it take tasks again, after drain or retire.

    Parameters
    ----------
    name
        The agent's name.
    reason
        Why, for the log.
    json
        Print {"agent", "intent", "position"}.
    """
    return _wish(name, "run", "may take tasks again", reason, where.place(), json)


@agent.command
def retire(name: str, /, *, reason: str = "", json: bool = False, where: WhereOption = HERE) -> int:
    """Let it finish what runs and end its program; what it had not begun goes to others.

    Parameters
    ----------
    name
        The agent's name.
    reason
        Why, for the log.
    json
        Print {"agent", "intent", "position"}.
    """
    return _wish(name, "retire", "retires", reason, where.place(), json)


@agent.command(name="list")
def list_(*, lang: Language | None = None, json: bool = False, where: WhereOption = HERE) -> int:
    """Show every agent: state, phase, load, capacity, what it has and when it was heard last.

    Parameters
    ----------
    lang
        Language of the answer; by default that of ELF_LANG or LANG.
    json
        Print the rows as status has them.
    """

    async def ask() -> list[dict[str, Any]]:
        async with await Client.open(where.place(), "client") as client:
            rows: list[dict[str, Any]] = (await client.ask("status"))["agents"]
            return rows

    rows = asyncio.run(ask())
    if json:
        show_json(rows)
    elif rows:
        show_agents(rows, language(lang))
    else:
        print("no agents; try elf agent add NAME")
    return Exit.FINE
