"""Taking the lead of a forest: one batch says who, in which release, with which settings."""

import os
import platform
from collections.abc import Sequence

from actors.bus import Bus
from actors.elves.deliberation import digest_of
from actors.journal import Journal
from actors.process import boot_id
from actors.version import version
from events.log import Expect, entry
from events.observations import LeaseTaken, NodeStarted
from events.settings import Settings, SettingsAdopted
from events.subjects import LEASE


async def take_lead(bus: Bus, journal: Journal, node: str, zone: str, settings: Settings) -> Sequence[int]:
    """Take the lease by compare-and-set; `zone` is the digest of the pure code.

    Returns the positions of lease, start and settings; the first is the epoch. Raises LogError,
    Conflict among them when another node was faster.
    """
    last = await bus.log.last(LEASE)
    previous = last.position if last else 0
    lease = journal.envelope(LeaseTaken(holder=node, previous=previous))
    started = journal.envelope(
        NodeStarted(
            node=node,
            release=version(),
            pure_zone=zone,
            pid=os.getpid(),
            boot=boot_id(),
            python=platform.python_version(),
        )
    )
    adopted = journal.envelope(SettingsAdopted(origin="file", digest=digest_of(settings), settings=settings))
    receipt = await bus.recorder.append(
        [entry(lease, Expect(LEASE, previous)), entry(started), entry(adopted)]
    )
    return receipt.positions
