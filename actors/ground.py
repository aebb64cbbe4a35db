"""What a node stands on before any actor lives: its folder and lock, the keeper, nats-server, secrets."""

import fcntl
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from actors.accounts import move_store, shared_store
from actors.config import Forest
from actors.keeper_client import Exit, Keeper, KeeperRefused, StartRequest
from actors.nats_server import ServerFiles, prepare, server_program, write_address
from actors.notify_pipes import remove_pipes
from actors.permissions import AGENT_FILE, agent_file, agents_with_files, users_of, write_secret
from actors.process import Identity, Process, boot_id, leader
from actors.room import await_room
from actors.watchman import Stray, Watchman

NATS_UNIT = "nats"
_ENTRY = Path(__file__).with_name("single_entry.py")
_SERVER_WAIT_S = 60.0
_FOLDERS = ("logs", "run", "secrets", "snapshots", "spool")


INSTANCE = Path("run") / "instance"


class GroundError(Exception):
    """The node cannot stand here; the text says what to do."""


class Ground:
    """One data folder in use by this process."""

    def __init__(self, forest: Forest, data: Path, nats_url: str = "") -> None:
        self.forest = forest
        self.data = data
        self._given_url = nats_url
        self._lock: int | None = None
        self._generation = 0
        self._starting = threading.Lock()
        self._keeper: Keeper | None = None
        self._watchman: Watchman | None = None
        self._heard = 0
        self._agents: Sequence[str] | None = None
        self._apart = True
        self._issuing = threading.RLock()
        self.leaving = False
        self.server: ServerFiles

    @property
    def keeper(self) -> Keeper:
        """The keeper in use. Raises GroundError before `take`."""
        if self._keeper is None:
            raise GroundError("expected a keeper, got none; the node has not started")
        return self._keeper

    def take(self, prove: Callable[[Path, bool], None] = lambda _, __: None) -> None:
        """Lock the folder, attach to its keeper or start one, bring the server up. Raises GroundError.

        Before a server of ours starts `prove` looks at its store, told whether one lives already; what it raises
        leaves everything as it was found.
        """
        self._refuse_foreign()
        if (self.data / "lock").exists():
            self._lock = lock_folder(self.data)
        await_room(self.data)
        for name in _FOLDERS:
            (self.data / name).mkdir(parents=True, exist_ok=True)
        (self.data / "secrets").chmod(0o700)
        if self._lock is None:
            self._lock = lock_folder(self.data)
        self._keeper, _ = Keeper.ensure(self.data / "run")
        # A server of an earlier release that still runs has no accounts before it is started again.
        self._apart = not self._given_url and not (
            self._server_lives() and shared_store(self._store).exists()
        )
        self.issue()
        if not self._given_url:
            try:
                prove(self.server.folder / "store", self._server_lives())
            except BaseException:
                self._step_back()
                raise
            self.start_server()
            self._await_server()
        write_address(self.data, self.server.url, self.forest.node.name, self.marker)

    def _refuse_foreign(self) -> None:
        """Raise GroundError where somebody else's files are: ours have had a lock from the first start on."""
        there = sorted(path.name for path in self.data.iterdir()) if self.data.exists() else []
        if there and "lock" not in there and not set(there) <= {*_FOLDERS, "nats", "forest.toml"}:
            raise GroundError(
                f"expected an empty folder or a node's own in {self.data}, got {', '.join(there[:3])}; try --data DIR"
            )

    def _step_back(self) -> None:
        """Unlock, and end the keeper if it has nobody to keep."""
        with suppress(OSError):
            if not self.keeper.units():
                self.keeper.quit()
        self.keeper.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def issue(self) -> None:
        """Write the server's files for the configuration in force.

        Before the log has been read agents are those of the configuration and those that had a file.
        """
        with self._issuing:
            pools = {worker.name: worker.queue for worker in self.forest.workers if worker.queue}
            dispatched = [queue.name for queue in self.forest.queues if queue.serve == "dispatch"]
            agents = self._agents
            if agents is None:
                files = agents_with_files(self.data / "secrets")
                agents = sorted({*files, *(agent.name for agent in self.forest.agents)})
            name = self.forest.node.name
            users = users_of(name, pools, agents, dispatched)
            self.server = prepare(self.data, name, self.forest.log.sync, users, self._given_url, self._apart)

    def serve_agents(self, names: Sequence[str]) -> None:
        """Let exactly these agents log in; who is no longer among them loses its file and its connection."""
        with self._issuing:
            gone = set(agents_with_files(self.data / "secrets")) - set(names)
            for name in gone:
                agent_file(self.data / "secrets", name).unlink(missing_ok=True)
            before = {agent for agent in names if f"{AGENT_FILE}{agent}" in self.server.credentials}
            self._agents = sorted(names)
            if gone or before != set(names):
                self.issue()
                self.signal_server(signal.SIGHUP)

    @property
    def _store(self) -> Path:
        return self.data / "nats" / "store"

    @property
    def owns_server(self) -> bool:
        """Whether nats-server is this folder's own."""
        return not self._given_url

    @property
    def marker(self) -> str:
        """What all processes of this folder carry first in ELF_UNIT.

        The name alone would not do: two forests of one name on one machine would end each other's workers.
        """
        path = self.data / INSTANCE
        if not path.exists():
            path.write_text(secrets.token_hex(4))
        return marker_of(self.forest.node.name, path)

    def env_key(self) -> bytes:
        """Return the key that hides values of `env` in digests, made once for the folder."""
        path = self.data / "secrets" / "env.key"
        if not path.exists():
            write_secret(path, secrets.token_bytes(32))
        return path.read_bytes()

    def start_server(self) -> None:
        """Have the keeper start nats-server unless it lives, be it under a keeper that was killed.

        Two on one store would destroy it: starts come one after the other, and the server itself holds a lock.
        """
        with self._starting:
            if not self._given_url and not self._server_lives():
                self._start_server()

    def _start_server(self) -> None:
        move_store(self._store)
        if not self._apart:
            self._apart = True
            self.issue()
        self._generation += 1
        nonce = secrets.token_hex(6)
        marker = f"{self.marker}:{NATS_UNIT}:{self._generation}:{nonce}"
        self.keeper.start(
            StartRequest(
                unit=NATS_UNIT,
                generation=self._generation,
                nonce=nonce,
                argv=[
                    *(sys.executable, "-I", "-S", str(_ENTRY), str(self.server.folder / "server.lock")),
                    *(server_program(), "-c", str(self.server.config)),
                ],
                env={"PATH": os.environ.get("PATH", os.defpath), "ELF_UNIT": marker},
                cwd=str(self.server.folder),
                log=str(self.data / "logs" / "nats.log"),
            )
        )

    def _await_server(self) -> None:
        host, _, port = self.server.url.removeprefix("nats://").rpartition(":")
        deadline = time.monotonic() + _SERVER_WAIT_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection((host, int(port)), 0.5).close()
            except OSError:
                if not self._server_lives():
                    break
                time.sleep(0.003)
            else:
                return
        raise GroundError(
            f"expected nats-server on {self.server.url}, got: {self._server_words()}; try elf doctor"
        )

    def _server_words(self) -> str:
        try:
            lines = (self.data / "logs" / "nats.log").read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "no word from it"

    def _server(self) -> Identity | None:
        for unit in self.keeper.units():
            if unit.unit == NATS_UNIT:
                return Identity(boot_id(), unit.pid, unit.start)
        return leader(f"{self.marker}:{NATS_UNIT}")

    def _server_lives(self) -> bool:
        return self._server() is not None

    def signal_server(self, number: int) -> None:
        """Send a signal to nats-server, if it is ours."""
        identity = self._server()
        process = Process.open(identity) if identity else None
        if process:
            with process:
                process.signal(number)

    def leave(self) -> None:
        """End the server and the keeper in order and unlock."""
        self.leaving = True
        if self._keeper is not None:
            if not self._given_url:
                self._end_server()
            try:
                self._keeper.quit()
                remove_pipes(self.data)
            except OSError:
                # Units outlive this node on purpose or by force; the keeper stays with them.
                pass
            self._keeper.close()
        if self._watchman:
            self._watchman.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _end_server(self) -> None:
        self.signal_server(15)
        deadline = time.monotonic() + 10.0
        while self._server_lives():
            if time.monotonic() > deadline:
                self.signal_server(9)
            time.sleep(0.005)

    def post_watchman(self, exited: Callable[[Exit], None]) -> None:
        """Be ready for `watch_stray`; whoever takes strays over must find this done."""
        self._watchman = Watchman(exited)

    def watch(self, exited: Callable[[Exit], None], lost: Callable[[], None]) -> None:
        """Hear of every exit, those from before this node included. `lost`: the keeper is gone, see `renew`."""
        server = self._server()
        if server and not any(unit.unit == NATS_UNIT for unit in self.keeper.units()):
            self.watch_stray(Stray(NATS_UNIT, 0, "", server))

        def heard(ended: Exit) -> None:
            self._heard = ended.next
            exited(ended)

        try:
            self.keeper.watch(self._heard, heard, lost)
        except KeeperRefused:
            # The file of exits is not the one we read before; what is told twice is heard once.
            self.keeper.watch(0, heard, lost)

    def renew(self) -> None:
        """Attach to the folder's keeper anew, starting one if the old one is gone. Raises OSError."""
        keeper, _ = Keeper.ensure(self.data / "run")
        before, self._keeper = self._keeper, keeper
        if before:
            before.close()

    def watch_stray(self, stray: Stray) -> bool:
        """Hear of the end of a process that no keeper is parent of; False when it is gone already."""
        if self._watchman is None:
            raise GroundError(f"expected a watchman for {stray.unit}, got none; the node has not started")
        return self._watchman.watch(stray)


def lock_folder(data: Path) -> int:
    """Take the folder for this process; returns the open lock. Raises GroundError when a node runs on it."""
    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise GroundError(
            f"expected {data} to be free, got another node running on it; try elf status"
        ) from None
    return descriptor


def marker_of(name: str, instance: Path) -> str:
    """Return the marker of a node's folder; a copy of the folder has the same text in another file."""
    text = f"{instance.read_text().strip()}/{instance.stat().st_dev}/{instance.stat().st_ino}"
    return f"{name}.{blake2b(text.encode(), digest_size=4).hexdigest()}"
