"""A machine in memory: processes with manners and without, and the keeper that starts them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from random import Random

from actors.keeper_client import Exit, Started, StartRefused, StartRequest
from actors.keeper_client import Unit as Living
from actors.process import Identity, Sample
from events.observations import HostSample
from tests.simulation.agenda import Agenda

BOOT = "boot"


class Broken(AssertionError):
    """An invariant does not hold."""


class Manners:
    """How often processes misbehave. All zero is good behaviour."""

    def __init__(self) -> None:
        self.stubborn = 0.0
        self.escapes = 0.0
        self.refused = 0.0
        self.swells = 0.0
        self.dies_early = 0.0

    def calm(self) -> None:
        """Let all of them behave from now on."""
        self.__init__()  # type: ignore[misc]


class Being:
    """One process."""

    def __init__(self, pid: int, start: int, request: StartRequest, marker: str, main: bool) -> None:
        self.pid, self.start, self.request, self.marker, self.main = pid, start, request, marker, main
        self.state = "S"
        self.alive = True
        self.stubborn = False
        self.pending = 0
        self.memory = 100.0
        self.grows = 0.0
        self.session = pid


class HeldBeing:
    """See `actors.processes.Held`."""

    def __init__(self, machine: Machine, being: Being) -> None:
        self._machine = machine
        self._being = being

    def signal(self, sig: int) -> bool:
        """See `Held.signal`."""
        return self._machine.deliver(self._being, sig)

    def signal_group(self, sig: int, marker: str = "") -> bool:
        """See `Held.signal_group`."""
        reached = [self._machine.deliver(one, sig) for one in self._machine.family(marker, self._being.pid)]
        return any(reached)

    def alive(self) -> bool:
        """See `Held.alive`."""
        return self._being.alive

    def close(self) -> None:
        """See `Held.close`."""


class Machine:
    """See `actors.processes.Processes` and `actors.keeper_client.Keeper`; both sides of one machine."""

    def __init__(self, agenda: Agenda, manners: Manners, ordered: Callable[[str], bool]) -> None:
        self._agenda = agenda
        self._chance: Random = agenda.chance
        self.manners = manners
        self._ordered = ordered
        self.beings: dict[int, Being] = {}
        self.book: list[Exit] = []
        self.started: dict[tuple[str, int], int] = {}
        self.on_exit: Callable[[Exit], None] = lambda _: None
        self.on_start: Callable[[Being], None] = lambda _: None
        self.on_end: Callable[[Being], None] = lambda _: None
        self.broken = ""
        self._pid = 100

    # --- the keeper ----------------------------------------------------------------------------------------

    def start(self, request: StartRequest) -> Started:
        """See `Keeper.start`. Raises Broken for a start that nobody may make."""
        marker = request.env["ELF_UNIT"]
        prefix = marker.rsplit(":", 2)[0] + ":"
        beside = [being.marker for being in self.living() if being.marker.startswith(prefix)]
        if beside:
            raise self._broken(f"{marker} is started beside {beside}")
        if not self._ordered(request.nonce):
            raise self._broken(f"{marker} is started before its order is durable")
        if self._chance.random() < self.manners.refused:
            raise StartRefused(2, "No such file or directory")
        key = (request.unit, request.generation)
        self.started[key] = self.started.get(key, 0) + 1
        if self.started[key] > 1:
            raise self._broken(f"{key} is started twice")
        being = self._born(request, marker, True)
        being.stubborn = self._chance.random() < self.manners.stubborn
        being.grows = 5.0 if self._chance.random() < self.manners.swells else 0.0
        if self._chance.random() < self.manners.escapes:
            child = self._born(request, marker, False)
            child.stubborn = True
        if self._chance.random() < self.manners.dies_early:
            self._agenda.at(self._chance.uniform(0, 3), lambda: self.die(being, code=1))
        self.on_start(being)
        return Started(pid=being.pid, start=being.start)

    def units(self) -> list[Living]:
        """See `Keeper.units`."""
        return [
            Living(
                unit=being.request.unit,
                generation=being.request.generation,
                nonce=being.request.nonce,
                pid=being.pid,
                start=being.start,
                log="",
            )
            for being in self.living()
            if being.main
        ]

    def exits(self, after: int) -> list[Exit]:
        """See `Keeper.exits`."""
        return self.book[after:]

    # --- what can be seen and done -------------------------------------------------------------------------

    def boot(self) -> str:
        """See `Processes.boot`."""
        return BOOT

    def hold(self, identity: Identity) -> HeldBeing | None:
        """See `Processes.hold`."""
        being = self._find(identity)
        return HeldBeing(self, being) if being else None

    def state(self, identity: Identity) -> str:
        """See `Processes.state`."""
        being = self._find(identity)
        return being.state if being else "X"

    def marker(self, identity: Identity) -> str:
        """See `Processes.marker`."""
        being = self._find(identity)
        return being.marker if being else ""

    def leader(self, marker: str) -> Identity | None:
        """See `Processes.leader`."""
        found = [being for being in self.living() if being.main and being.marker == marker]
        return Identity(BOOT, found[0].pid, found[0].start) if found else None

    def members(self, marker: str, session: Identity | None) -> list[int]:
        """See `Processes.members`."""
        return [being.pid for being in self.family(marker, session.pid if session else 0)]

    def sweep(self, marker: str, sig: int, session: Identity | None = None) -> list[int]:
        """See `Processes.sweep`."""
        family = self.family(marker, session.pid if session else 0)
        return [being.pid for being in family if self.deliver(being, sig)]

    def host(self) -> HostSample:
        """See `Processes.host`: a machine with room."""
        return HostSample(100, 8 << 30, 16 << 30, 4)

    def samples(self, identities: Mapping[str, Identity]) -> dict[str, Sample]:
        """See `Processes.samples`."""
        found = {}
        for name, identity in identities.items():
            being = self._find(identity)
            if being:
                being.memory += being.grows
                found[name] = Sample(
                    status=being.state,
                    cpu_s=self._agenda.now / 10,
                    rss=int(being.memory),
                    threads=1,
                    processes=1,
                    fds=3,
                )
        return found

    # --- what happens --------------------------------------------------------------------------------------

    def living(self) -> Sequence[Being]:
        """Return everybody who lives."""
        return list(self.beings.values())

    def main(self, unit: str) -> Being | None:
        """Return the living main process of a unit."""
        return next((being for being in self.living() if being.main and being.request.unit == unit), None)

    def family(self, marker: str, session: int) -> list[Being]:
        """Return everybody with a marker or of a session."""
        return [
            being
            for being in self.living()
            if (marker and being.marker.startswith(marker)) or (session and being.session == session)
        ]

    def deliver(self, being: Being, sig: int) -> bool:
        """Let a signal arrive."""
        if not being.alive:
            return False
        if sig == signal.SIGKILL:
            self.die(being, signal=9)
        elif sig == signal.SIGSTOP:
            being.state = "T"
        elif sig == signal.SIGCONT:
            being.state = "S"
            if being.pending:
                self._obey(being, being.pending)
        elif being.state == "T":
            being.pending = sig
        else:
            self._obey(being, sig)
        return True

    def die(self, being: Being, code: int | None = None, signal: int | None = None) -> None:
        """End a process; the keeper writes it into its book and says so."""
        if not being.alive:
            return
        being.alive = False
        del self.beings[being.pid]
        if not being.main:
            return
        self.on_end(being)
        request = being.request
        number = len(self.book)
        ended = Exit(
            offset=number,
            next=number + 1,
            unit=request.unit,
            generation=request.generation,
            nonce=request.nonce,
            pid=being.pid,
            start=being.start,
            code=code,
            signal=signal,
            time_us=int(self._agenda.now * 1e6),
            orphan=False,
        )
        self.book.append(ended)
        self.on_exit(ended)

    def _broken(self, what: str) -> Broken:
        """Remember it: whoever asked is an actor, and its failure alone would only restart it."""
        self.broken = self.broken or what
        return Broken(what)

    def _obey(self, being: Being, sig: int) -> None:
        if not being.stubborn:
            self._agenda.soon(lambda: self.die(being, signal=int(sig)), 0.2)

    def _born(self, request: StartRequest, marker: str, main: bool) -> Being:
        self._pid += 1
        being = Being(self._pid, self._pid * 10, request, marker, main)
        self.beings[being.pid] = being
        return being

    def _find(self, identity: Identity) -> Being | None:
        being = self.beings.get(identity.pid)
        return being if being and being.start == identity.start and identity.boot == BOOT else None
