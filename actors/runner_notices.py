"""What a runner is asked beside its tasks: reminders, preparations, garbage; done once and answered in the log."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

from actors.recorder import Recorder
from actors.runner_post import tell
from actors.runner_voice import Voice
from actors.runner_work import Workers
from events.log import LogError
from events.reminders import RequestAnswered

MESSAGES = ("remind", "gc", "prepare")
# The node says a request again after a crash of its own; so many are remembered.
_REMEMBERED = 500


class Notices:
    """Passes messages on to the handlers' processes at their next task edge. One asyncio loop."""

    def __init__(self, workers: Workers, recorder: Recorder, voice: Voice) -> None:
        self._workers = workers
        self._recorder = recorder
        self._voice = voice
        self._known: deque[str] = deque(maxlen=_REMEMBERED)
        self._tasks: set[asyncio.Task[None]] = set()

    def heed(self, message: dict[str, Any]) -> None:
        """Take a message; one that was taken before is passed over."""
        request = str(message.get("id", ""))
        if request and request in self._known:
            return
        self._known.append(request)
        self._later(self._collect(message) if message["do"] == "gc" else self._pass_on(message))

    async def _pass_on(self, message: dict[str, Any]) -> None:
        """Say at once that it was heard: a handler may be busy for long."""
        if message["do"] == "remind":
            lives = bool(self._workers.pids)
            detail = (
                "its handler is told at the next task edge" if lives else "no handler lives between tasks"
            )
            await self._answer(message, ok=True, detail=detail)
        for answer in await self._workers.notice(message):
            if not answer.get("ok"):
                tell(f"the handler did not take {message['do']}: {str(answer.get('error', ''))[:300]}")

    async def _collect(self, message: dict[str, Any]) -> None:
        """Every process of a handler collects; one that died meanwhile has given all its memory back."""
        answers = await self._workers.notice(message, every=True)
        problems = [str(answer.get("error", "")) for answer in answers if not answer.get("ok")]
        await self._answer(
            message,
            ok=bool(answers) and not problems,
            before=sum(int(answer.get("before", 0)) for answer in answers),
            after=sum(int(answer.get("after", 0)) for answer in answers),
            detail="; ".join(problems) if answers else "no handler lives between tasks",
        )

    async def _answer(
        self, message: dict[str, Any], *, ok: bool, before: int = 0, after: int = 0, detail: str = ""
    ) -> None:
        answered = RequestAnswered(
            request=str(message.get("id", "")),
            unit=self._voice.unit,
            generation=self._voice.generation,
            do=message["do"],
            ok=ok,
            before=before,
            after=after,
            detail=detail[:300],
        )
        try:
            await self._recorder.append([self._voice.alone(answered, f"{answered.request}-{answered.unit}")])
        except LogError as problem:
            tell(f"the answer to {message['do']} is not in the log: {problem}")

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
