"""Which tasks a trial of a distribution policy is about: by a hash of the task, the same whoever asks and whenever."""

from hashlib import blake2b

from events.settings import CanarySettings

_ALL = 1 << 64


def is_tried(canary: CanarySettings, key: str) -> bool:
    """Tell whether the candidate gives this task (`queue/task`) out."""
    digest = blake2b(f"{canary.decision}/{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < canary.share * _ALL
