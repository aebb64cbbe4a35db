"""The machine's processes as actors may touch them: handed in, so that a simulation can own them."""

from collections.abc import Mapping
from typing import Protocol

import psutil

from actors import process
from actors.process import Identity, Sample
from events.observations import HostSample


class Held(Protocol):
    """One living process that cannot come to mean another one."""

    def signal(self, sig: int) -> bool:
        """Signal the process; False when it is gone."""

    def signal_group(self, sig: int, marker: str = "") -> bool:
        """Signal its group, or everybody with the marker; False when nobody was reached."""

    def alive(self) -> bool:
        """Tell whether it still runs."""

    def close(self) -> None:
        """Let go of it."""


class Processes(Protocol):
    """What can be seen and done; every action goes through an identity or a marker, never a bare pid."""

    def boot(self) -> str:
        """Return the id of this boot."""

    def hold(self, identity: Identity) -> Held | None:
        """Hold this very process; None when it is gone or the pid is another's."""

    def state(self, identity: Identity) -> str:
        """Return the kernel's letter for it, `X` when it is gone."""

    def marker(self, identity: Identity) -> str:
        """Return what it carries as ELF_UNIT; empty when nothing can be read there."""

    def leader(self, marker: str) -> Identity | None:
        """Return who leads the session of the processes with a marker, None without one."""

    def members(self, marker: str, session: Identity | None) -> list[int]:
        """Return everybody with a marker or of a session or below it."""

    def sweep(self, marker: str, sig: int, session: Identity | None = None) -> list[int]:
        """Signal all members; returns who was reached."""

    def samples(self, identities: Mapping[str, Identity]) -> dict[str, Sample]:
        """Look at all these trees at once."""

    def host(self) -> HostSample:
        """Look at the machine; its CPU share is that since the last look."""


class LocalProcesses:
    """This machine's."""

    def boot(self) -> str:
        """See `Processes.boot`."""
        return process.boot_id()

    def hold(self, identity: Identity) -> Held | None:
        """See `Processes.hold`."""
        return process.Process.open(identity)

    def state(self, identity: Identity) -> str:
        """See `Processes.state`."""
        stat = process.read_stat(identity.pid)
        same = stat and stat.start == identity.start and identity.boot == process.boot_id()
        return stat.state if stat and same else "X"

    def marker(self, identity: Identity) -> str:
        """See `Processes.marker`."""
        return process.marker_of(identity.pid)

    def leader(self, marker: str) -> Identity | None:
        """See `Processes.leader`."""
        return process.leader(marker)

    def members(self, marker: str, session: Identity | None) -> list[int]:
        """See `Processes.members`."""
        return process.members(marker, session.pid if session else 0, session.start if session else None)

    def sweep(self, marker: str, sig: int, session: Identity | None = None) -> list[int]:
        """See `Processes.sweep`."""
        return process.sweep(marker, sig, session.pid if session else 0, session.start if session else None)

    def samples(self, identities: Mapping[str, Identity]) -> dict[str, Sample]:
        """See `Processes.samples`."""
        return process.sample_tree(identities)

    def host(self) -> HostSample:
        """See `Processes.host`."""
        memory = psutil.virtual_memory()
        return HostSample(
            cpu=round(10 * psutil.cpu_percent(None)),
            memory=memory.available,
            total=memory.total,
            cores=psutil.cpu_count() or 1,
        )
