"""Which elves there are: the node runs them, replay asks them again."""

from typing import Any

from actors.elves import Policy
from actors.elves.balance_elf import BalanceElf
from actors.elves.flow_elf import FlowElf
from actors.elves.healing_elf import HealingElf
from actors.elves.time_elf import TimeElf
from actors.elves.wisdom_elf import WisdomElf

POLICIES: tuple[Policy[Any], ...] = (FlowElf(), HealingElf(), BalanceElf(), WisdomElf(), TimeElf())
