"""The ways to tell people: a file, a webhook, a command. Each send is blocking and belongs into a thread."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from actors.config import expand
from actors.config_errands import Channel
from actors.job_run import program_of
from actors.web_request import Unreached, send
from projections.outbox import Notice

_TAIL = 64 * 1024
_REPORT_LIMIT = 60_000


class NotSent(Exception):
    """The channel did not take it; the text says why and holds no secret."""


class Sender:
    """Sends through one channel."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        environ: Mapping[str, str],
        clean: Mapping[str, str],
        sweep: Callable[[str], object],
        marker: str,
    ) -> None:
        """`clean` is the environment of a command, `marker` stands in it, `sweep` ends who carries it."""
        self._name = name
        self._channel = channel
        self._environ = environ
        self._clean = clean
        self._sweep = sweep
        self._marker = marker

    def send(self, notices: Sequence[Notice], dropped: int) -> None:
        """Send all of them as one message. Raises NotSent."""
        text = text_of(notices, dropped)
        try:
            if self._channel.file:
                self._append(Path(self._channel.file), notices, dropped)
            elif self._channel.webhook:
                self._post(notices, text)
            else:
                self._run(text)
        except (OSError, KeyError, subprocess.SubprocessError) as problem:
            raise NotSent(
                f"{type(problem).__name__}: {getattr(problem, 'strerror', None) or problem}"
            ) from None

    def stop(self) -> None:
        """End the command under way, be it one that an earlier node left."""
        if self._channel.command:
            self._sweep(self._marker)

    def _append(self, path: Path, notices: Sequence[Notice], dropped: int) -> None:
        """One entry for each; one that stands there already, from before a crash, is not written again."""
        known = b""
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            known = file.read()
        fresh = [notice for notice in notices if notice.id.encode() not in known]
        if not fresh:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(text_of(fresh, dropped, ids=True) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _post(self, notices: Sequence[Notice], text: str) -> None:
        body = msgspec.json.encode(
            {
                "channel": self._name,
                "text": text,
                "notices": [
                    {"id": each.id, "topic": each.topic, "time": each.time / 1e6, "text": each.text}
                    for each in notices
                ],
            }
        )
        url = expand(self._channel.webhook, self._environ)
        headers = {"Content-Type": "application/json", "User-Agent": "elf-forest"}
        try:
            answer = send("POST", url, headers, body, self._channel.timeout_s)
        except Unreached as problem:
            raise NotSent(str(problem)) from None
        if not 200 <= answer.status < 300:
            raise NotSent(f"expected an answer of 200 to 299, got {answer.status}")

    def _run(self, text: str) -> None:
        process = subprocess.Popen(
            program_of(self._channel.command),
            env={**self._clean, "ELF_UNIT": self._marker},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _, said = process.communicate(text.encode(), timeout=self._channel.timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise NotSent(f"expected the command to end within {self._channel.timeout_s:g} s") from None
        finally:
            self._sweep(self._marker)
        if process.returncode:
            last = said.decode("utf-8", "replace").strip()[-200:]
            raise NotSent(f"expected exit code 0, got {process.returncode}: {last}")


def text_of(notices: Sequence[Notice], dropped: int = 0, ids: bool = False) -> str:
    """Return the message as people read it."""
    lines = [f"({dropped} earlier messages were let go: too many were waiting)"] if dropped else []
    for notice in notices:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S%z", time.localtime(notice.time / 1e6))
        mark = f" [{notice.id}]" if ids else ""
        lines.append(f"{stamp} {notice.topic}: {_body(notice)}{mark}")
    return "\n".join(lines)


def _body(notice: Notice) -> str:
    if notice.report:
        with contextlib.suppress(OSError):
            report = Path(notice.report).read_text(encoding="utf-8")
            return f"{notice.report}\n\n{report[:_REPORT_LIMIT]}"
    return notice.text
