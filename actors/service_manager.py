"""What a service manager such as systemd hears of the node: one datagram for each word on NOTIFY_SOCKET."""

import logging
import os
import socket
import time
from collections.abc import MutableMapping

_log = logging.getLogger("elf.service")

# An abstract address begins with a zero byte, which the environment writes as @.
_ABSTRACT = "@"


class ServiceManager:
    """Any thread may call. Without NOTIFY_SOCKET nobody listens and nothing is said."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """Take the address out of the environment: nothing that the node starts may speak in its name."""
        self._address = environ.pop("NOTIFY_SOCKET", "")
        limit, process = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        ours = process in ("", str(os.getpid()))
        self.watchdog_s = int(limit) / 1e6 if self._address and ours and limit.isdecimal() else 0.0
        self._status = ""

    def ready(self) -> None:
        """The node runs, or has read its configuration again."""
        self._say("READY=1")

    def status(self, text: str) -> None:
        """Say in one line how it is, if that is news."""
        if text != self._status:
            self._status = text
            self._say(f"STATUS={' '.join(text.split())}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` ends it."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, seconds: float) -> None:
        """The node ends and may take so long for it."""
        self._say("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def patience(self, seconds: float) -> None:
        """What begins now may take so long."""
        self._say(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def alive(self) -> None:
        """Everybody has answered: feed the watchdog, if there is one."""
        if self.watchdog_s:
            self._say("WATCHDOG=1")

    def _say(self, *words: str) -> None:
        if not self._address:
            return
        to = "\0" + self._address[1:] if self._address.startswith(_ABSTRACT) else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
                speaker.settimeout(1.0)
                speaker.connect(to)
                speaker.send("\n".join(words).encode())
        except OSError as problem:
            _log.warning("the service manager does not hear %s: %s", words[0], problem)
