"""What a unit's actor can be told, and how its unit is launched and stopped."""

from collections.abc import Callable

from msgspec import Struct

from actors.keeper_client import Exit
from actors.process import Identity
from actors.units import Launch
from events.log import Receipt


class Start(Struct, frozen=True):
    """Start this generation because of a decision."""

    decision: str
    generation: int


class End(Struct, frozen=True):
    """End this generation by the stop sequence and, with `again`, start the next one.

    With `drain_s` the unit is first asked to finish what it holds; TERM follows after that long. With `evidence` it
    is looked at before all that. `steps` are a playbook's, none the usual ones.
    """

    decision: str
    generation: int
    again: bool
    drain_s: float = 0.0
    evidence: bool = False
    steps: tuple[str, ...] = ()


class Continue(Struct, frozen=True):
    """Let a stopped process run on."""

    decision: str
    generation: int


class Examine(Struct, frozen=True):
    """Look at what this generation does, at the process `pid` above all."""

    decision: str
    generation: int
    kind: str
    pid: int = 0


class Hurry(Struct, frozen=True):
    """Do not wait for a task edge of this generation any longer."""

    generation: int


class Adopt(Struct, frozen=True):
    """This process is the unit's living generation."""

    generation: int
    nonce: str
    identity: Identity


class Ended(Struct, frozen=True):
    """The keeper saw the process end."""

    exit: Exit


class Told(Struct, frozen=True):
    """The log has, or has not, what was written before the next step."""

    next: Callable[[], None]
    result: Receipt | Exception


class Timer(Struct, frozen=True):
    """Time is up for the step of that number."""

    number: int
    next: Callable[[], None]


class UnitPlan(Struct, frozen=True):
    """How a unit is launched and stopped, from the configuration in force."""

    unit: str
    pool: str
    queue: str
    stop_signal: int
    stop_wait_s: float
    launch: Callable[[int, str], Launch]
    secret: str | None = None
