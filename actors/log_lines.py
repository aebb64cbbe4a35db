"""The node's own diagnostics on standard error: lines for people, or JSON objects for machines."""

import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Literal

import msgspec

LogFormat = Literal["text", "json"]
# What a line may know beside its words: `_log.warning(..., extra={"decision": id})`.
KNOWN = ("position", "decision", "task")
_TEXT = "%(asctime)s %(levelname).1s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """One object a line: time (UTC, RFC 3339), level, logger, message, and what else is known."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in KNOWN:
            value = getattr(record, name, None)
            if value:
                line[name] = value
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def log_to_stderr(debug: bool = False) -> None:
    """Set up diagnostics; facts go to the event log."""
    logging.basicConfig(stream=sys.stderr, level=logging.DEBUG if debug else logging.INFO, format=_TEXT)
    logging.getLogger("pykka").setLevel(logging.CRITICAL)
    logging.getLogger("nats").setLevel(logging.ERROR)


def log_as(form: LogFormat) -> None:
    """Write lines in this form from here on; what others have set up beside standard error stays."""
    formatter = JsonLines() if form == "json" else logging.Formatter(_TEXT)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
            handler.setFormatter(formatter)
    # What Python itself would say on standard error is a line like the others.
    logging.captureWarnings(form == "json")
    threading.excepthook = _thread_failed if form == "json" else threading.__excepthook__


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    name = failure.thread.name if failure.thread else "a thread"
    problem = failure.exc_value
    logging.getLogger("elf.node").error("%s failed: %r", name, problem, exc_info=problem)
