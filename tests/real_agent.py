"""A remote agent's program in a process of its own, and what a test does to it."""

import asyncio
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from actors.agent_spec import AgentSpec
from actors.connection import read_credentials
from actors.process import marked, sweep
from events.agents import AgentJoined
from tests.real_node import ROOT, RealNode

WORK = ROOT / "tests" / "handlers" / "agent_work.py"


class RealAgent:
    """One `elf agent run`; it may be killed, frozen and started again."""

    def __init__(
        self,
        node: RealNode,
        name: str,
        *words: str,
        wip: int = 1,
        options: str = "",
        command: str = "",
        cwd: Path | None = None,
    ) -> None:
        self.node = node
        self.name = name
        self.command = command or shlex.join([sys.executable, "-I", "-S", str(WORK), *words])
        self.cwd = cwd
        self.wip = wip
        self.options = shlex.split(options)
        self.folder = node.folder / f"agent-{name}"
        self.cred = node.data / "secrets" / f"agent-{name}.json"
        self.process: asyncio.subprocess.Process | None = None

    @property
    def marker(self) -> str:
        """What its processes carry."""
        state = self.cred.parent / f"{self.cred.stem}.state"
        spec = AgentSpec(
            name=self.name,
            command=(),
            credentials=read_credentials(self.node.data / "secrets" / "client.json"),
            state=state,
            cwd=self.folder,
        )
        return spec.marker

    async def start(self, seconds: float = 60.0) -> AgentJoined:
        """Start it and wait until it has joined."""
        after = len(await self.node.read())
        await self.spawn()
        return (await self.node.saw(AgentJoined, after, seconds, agent=self.name))[1]

    async def spawn(self) -> None:
        """Start it without waiting."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "words").open("ab") as words:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "cli",
                "agent",
                "run",
                self.name,
                "--exec",
                self.command,
                "--cred",
                str(self.cred),
                "--wip",
                str(self.wip),
                "--cwd",
                str(self.cwd or self.folder),
                *self.options,
                cwd=ROOT,
                stdout=words,
                stderr=words,
            )

    def words(self) -> str:
        """Return what it has said."""
        path = self.folder / "words"
        return path.read_text() if path.exists() else ""

    def signal(self, number: int) -> None:
        """Send its program a signal, not its commands."""
        assert self.process
        self.process.send_signal(number)

    async def ended(self, seconds: float = 60.0) -> int:
        """Wait until the program ends and return its exit code."""
        assert self.process
        code = await asyncio.wait_for(self.process.wait(), seconds)
        self.process = None
        return code

    async def kill9(self) -> None:
        """End the program as a crash does; its commands live on."""
        self.signal(signal.SIGKILL)
        await self.ended()

    def children(self) -> list[int]:
        """Return the processes that work for it."""
        return marked(f"{self.marker}:")

    async def clear(self) -> None:
        """Leave nothing behind."""
        if self.process:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
                self.process.kill()
            await self.ended()
        sweep(f"{self.marker}:", signal.SIGKILL)


@asynccontextmanager
async def agents(*given: RealAgent) -> AsyncIterator[None]:
    """Let these agents join, and end them whatever happens."""
    try:
        for agent in given:
            await agent.start()
        yield
    except BaseException as problem:
        for agent in given:
            problem.add_note(f"{agent.name}: {agent.words()[-2000:]}")
        raise
    finally:
        for agent in given:
            await agent.clear()
