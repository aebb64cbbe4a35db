"""Whether the node still moves: a question that goes from the supervisor through every actor, and once around the bus.

Who has not answered for long hangs: it would be restarted if it failed, but a thread that waits for ever fails never.
The answers alone feed a service manager's watchdog; no timer does.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pykka
from msgspec import Struct

from actors.runtime import Knock, tell

_log = logging.getLogger("elf.pulse")

EVERY_S = 5.0
# What opens a large file or folds a long log in its first message may take this long.
BEGIN_S = 600.0
_BUS = "bus"


class _Asked(Struct):
    """One that is asked. `at` is when the question in its mailbox was put there, `proof` the last one it answered."""

    name: str
    alive: Callable[[], bool]
    first: float
    at: float
    waits: bool = True
    proof: float = 0.0


class Answers(Struct, frozen=True):
    """How everybody stands: seconds since the oldest proof of life, who hangs, who has not come up yet."""

    asked: int
    age_s: float
    hung: tuple[tuple[str, float], ...]
    starting: tuple[str, ...]


class Pulse:
    """One thread. `call` runs something on the bus; `fed` is called whenever everybody has answered anew."""

    def __init__(
        self,
        supervisor: pykka.ActorRef[Any],
        call: Callable[[Callable[[], None]], None],
        hung_s: Callable[[], float],
        fed: Callable[[], None] = lambda: None,
        looked: Callable[[], None] = lambda: None,
        every_s: float = EVERY_S,
    ) -> None:
        self._supervisor = supervisor
        self._call = call
        self._hung_s = hung_s
        self._fed = fed
        self._looked = looked
        self._every_s = every_s
        self._lock = threading.Lock()
        self._asked: dict[str, _Asked] = {}
        self._last_fed = 0.0
        self._said: set[str] = set()
        self._over = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="elf-pulse", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._over.set()
        self._news.set()
        self._thread.join(5.0)

    def answers(self) -> Answers:
        """Return how everybody stands now. Any thread."""
        now = time.monotonic()
        with self._lock:
            asked = [one for one in self._asked.values() if one.alive()]
        limit = self._hung_s()
        late = [(one, now - one.at) for one in asked if one.waits]
        hung = [(one.name, age) for one, age in late if age > (limit if one.proof else max(limit, BEGIN_S))]
        proofs = [one.proof for one in asked if one.proof]
        return Answers(
            asked=len(asked),
            age_s=now - min(proofs) if proofs else 0.0,
            hung=tuple(sorted(hung)),
            starting=tuple(sorted(one.name for one, _ in late if not one.proof)),
        )

    def _run(self) -> None:
        while not self._over.is_set():
            with self._lock:
                self._asked = {key: one for key, one in self._asked.items() if one.alive()}
            self._ask_bus()
            self._ask("supervisor", self._supervisor)
            until = time.monotonic() + self._every_s
            while (rest := until - time.monotonic()) > 0 and not self._over.is_set():
                self._news.wait(rest)
                self._news.clear()
                self._feed()
            self._say_hung()
            self._looked()

    def _ask(self, name: str, ref: pykka.ActorRef[Any]) -> None:
        """Put a question into a mailbox unless one lies there already. Called by whoever is above, in its thread."""
        key = ref.actor_urn
        if self._note(key, name, ref.is_alive):
            tell(ref, Knock(lambda: self._heard(key), self._ask))

    def _ask_bus(self) -> None:
        if self._note(_BUS, _BUS, lambda: True):
            self._call(lambda: self._heard(_BUS))

    def _note(self, key: str, name: str, alive: Callable[[], bool]) -> bool:
        now = time.monotonic()
        with self._lock:
            known = self._asked.get(key)
            if known is None:
                self._asked[key] = _Asked(name, alive, now, now)
                return True
            if known.waits:
                return False
            known.waits, known.at = True, now
            return True

    def _heard(self, key: str) -> None:
        with self._lock:
            known = self._asked.get(key)
            if known is None:
                return
            known.waits, known.proof = False, known.at
            everybody = not any(one.waits for one in self._asked.values())
        if everybody:
            self._news.set()

    def _feed(self) -> None:
        """Say that everybody lives once each of them has answered a question younger than the last time."""
        now = time.monotonic()
        with self._lock:
            asked = [one for one in self._asked.values() if one.alive()]
        up = [one for one in asked if one.proof or now - one.first > BEGIN_S]
        if len(up) > 1 and min(one.proof for one in up) > self._last_fed:
            self._last_fed = now
            self._fed()

    def _say_hung(self) -> None:
        hung = self.answers().hung
        for name, age in hung:
            if name not in self._said:
                _log.error("%s has not taken its mail for %.0f s: it hangs", name, age)
        for name in self._said - {name for name, _ in hung}:
            _log.warning("%s takes its mail again", name)
        self._said = {name for name, _ in hung}
