"""How tasks find agents: policies by name, each with its parameters and their ranges."""

from collections.abc import Mapping

from actors.elves.distribution.best import PullBest
from actors.elves.distribution.board import Board, Pick, board_of
from actors.elves.distribution.jsq import Jsq
from actors.elves.distribution.parameters import Parameter, read
from actors.elves.distribution.placing import Distribution
from actors.elves.distribution.pull import PullFair, PullFifo
from actors.elves.distribution.seed import Seed
from actors.elves.distribution.seed_repaired import SeedRepaired
from events.settings import LEARNING

_KINDS: dict[str, type[Distribution]] = {
    kind.name: kind for kind in (PullBest, PullFair, PullFifo, Seed, SeedRepaired, Jsq)
}

NAMES: tuple[str, ...] = tuple(_KINDS)
PARAMETERS: dict[str, tuple[Parameter, ...]] = {name: kind.parameters for name, kind in _KINDS.items()}


def distribution(
    name: str, parameters: Mapping[str, float] | None = None, fallback: str = "", learning: int = LEARNING
) -> Distribution:
    """Return a policy; `fallback` names the last resort of `seed`, `learning` is as in `DistributionSettings`.

    Raises ValueError that says what would do.
    """
    kind = _KINDS.get(name)
    if kind is None:
        raise ValueError(f"expected one of {', '.join(NAMES)}, got {name!r}; try {NAMES[0]}")
    return kind(read(name, kind.parameters, parameters or {}, learning), fallback, learning)


__all__ = [
    "NAMES",
    "PARAMETERS",
    "Board",
    "Distribution",
    "Parameter",
    "Pick",
    "board_of",
    "distribution",
]
