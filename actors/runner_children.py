"""Processes of a runner: started in a group of their own, noticed through a pidfd, ended with their group."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

Stream = int | None


class Child:
    """One process. `ended(code)` is called once on the loop; a negative code is a signal's."""

    def __init__(
        self,
        argv: Sequence[str],
        cwd: str,
        ended: Callable[[int], None],
        *,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
        keep: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start it with the descriptors in `keep`, `env` added to our own. Raises OSError when that is not possible."""
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self.popen = subprocess.Popen(
            argv,
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            process_group=0,
            bufsize=0,
            pass_fds=keep,
            env={**os.environ, **env} if env else None,
        )
        self.pid = self.popen.pid
        self.memory = 0
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._exited)

    @property
    def lives(self) -> bool:
        """Whether it has not been reaped yet."""
        return self.popen.returncode is None

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Signal the whole group; its number cannot be somebody else's before the process is reaped."""
        if self.lives:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, how)

    def signal(self, how: signal.Signals) -> None:
        """Signal the process alone."""
        if self.lives:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, how)

    def _exited(self) -> None:
        # What the process left behind in its group ends with it.
        self.kill()
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        _, status, usage = os.wait4(self.pid, 0)
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        # Its peak, in bytes; what it was before its program began counts too.
        self.memory = usage.ru_maxrss * 1024
        self._ended(self.popen.returncode)


def ending(code: int) -> str:
    """Say an exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    hint = "; out of memory?" if -code == signal.SIGKILL else ""
    return f"signal {-code} ({name}{hint})"
