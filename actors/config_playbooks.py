"""The part of forest.toml that says by which steps the forest heals itself."""

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from actors.config_words import Text
from actors.elves.playbooks import usual


class Playbooks(Struct, frozen=True, kw_only=True):
    """[playbooks]: the names of each playbook's steps, in their order."""

    worker_not_responding: tuple[Text, ...] = usual("worker_not_responding")
    memory_leak_detected: tuple[Text, ...] = usual("memory_leak_detected")
    queue_overflow: tuple[Text, ...] = usual("queue_overflow")

    def settings(self) -> dict[str, tuple[str, ...]] | UnsetType:
        """Return those that are not the usual ones, as policies read them."""
        return {name: steps for name, steps in asdict(self).items() if steps != usual(name)} or UNSET
