"""What one attempt of an agent came to: a result with its artefacts, or a failure with what is known of it."""

from typing import Any, Literal, cast

import msgspec
from msgspec import Struct

from actors.agent_child import AgentChild
from actors.agent_words import RESULT_LIMIT, Text
from actors.runner_children import ending
from events.tasks import FailureKind

_ARTEFACTS = 64
_ARTEFACT = 1024


class Outcome(Struct, frozen=True, kw_only=True):
    """How one attempt ended: `kind` is empty for a result, else the kind of failure with its text."""

    kind: Literal["", "error", "timeout", "crash", "exit", "garbage"] = ""
    error: str = ""
    result: Any = None
    artefacts: tuple[str, ...] = ()
    service_ms: int = 0

    @property
    def failure(self) -> FailureKind:
        """The kind of failure; only where there is one."""
        return cast(FailureKind, self.kind)


def stdin_of(text: Text, prompt: bool) -> bytes:
    """Return what the command reads: the task as one JSON object, or the prompt alone with what was left before."""
    if not prompt:
        told: dict[str, object] = {
            "id": text.task,
            "queue": text.queue,
            "type": text.kind,
            "payload": text.payload,
            "priority": text.priority,
            "attempt": text.attempt,
            "hand_over": text.hand_over,
        }
        if text.traceparent:
            told["traceparent"] = text.traceparent
        return msgspec.json.encode(told)
    value = msgspec.json.decode(text.payload)
    if isinstance(value, dict) and isinstance(value.get("prompt"), str):
        value = value["prompt"]
    said = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if text.hand_over:
        note = msgspec.json.format(msgspec.json.encode(text.hand_over)).decode()
        said = f"{said}\n\nAnother agent has been at this before. What it left:\n{note}\n"
    return said.encode()


def outcome_of(code: int, child: AgentChild, service_ms: int) -> Outcome:
    """Read an answer: JSON, else plain text. `artefacts` in a JSON object are references to what was made."""
    if code:
        said = child.complaint.decode("utf-8", "replace").strip()
        error = f"{ending(code)}: {said}" if said else ending(code)
        return Outcome(kind="crash" if code < 0 else "error", error=error, service_ms=service_ms)
    if child.output > RESULT_LIMIT:
        error = (
            f"expected a result of at most {RESULT_LIMIT} bytes, got {child.output}, kept in {child.overflow};"
            " try to print a path"
        )
        kept = (str(child.overflow),)
        return Outcome(kind="garbage", error=error, artefacts=kept, service_ms=service_ms)
    answer = bytes(child.answer).strip() or b"null"
    try:
        value: Any = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = answer.decode("utf-8", "replace")
    return Outcome(result=value, artefacts=_artefacts(value), service_ms=service_ms)


def _artefacts(value: Any) -> tuple[str, ...]:
    given = value.get("artefacts") if isinstance(value, dict) else None
    if not isinstance(given, list):
        return ()
    return tuple(one for one in given if isinstance(one, str) and len(one) <= _ARTEFACT)[:_ARTEFACTS]
