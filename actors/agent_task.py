"""One task in an agent's hands: its text from the node, the claim, the command until it ends."""

import asyncio
from collections.abc import Callable

import msgspec

from actors.agent_asks import Asks
from actors.agent_child import AgentChild
from actors.agent_memory import Memory
from actors.agent_outcome import Outcome, outcome_of, stdin_of
from actors.agent_progress import Track
from actors.agent_spec import AgentSpec
from actors.agent_voice import Voice
from actors.agent_words import Question
from actors.agent_work import Work
from events.log import Conflict
from events.tasks import TaskStarted


class Tasks:
    """Does what an assignment asks for. `drop(work)` is told of each that is over here, `acknowledge` before."""

    def __init__(
        self,
        spec: AgentSpec,
        voice: Voice,
        asks: Asks,
        memory: Memory,
        pid: int,
        acknowledge: Callable[[Work], None],
    ) -> None:
        self._spec = spec
        self._voice = voice
        self._asks = asks
        self._memory = memory
        self._pid = pid
        self._acknowledge = acknowledge
        self._loop = asyncio.get_running_loop()

    async def do(self, work: Work) -> Outcome | None:
        """Fetch, claim and run; None when the task is not ours or nobody wants it any more."""
        if not await self._claim(work):
            self._memory.forget(work.kept)
            self._acknowledge(work)
            return None
        self._acknowledge(work)
        return await self._run(work)

    async def _claim(self, work: Work) -> bool:
        """Claim by compare-and-set on the task's last event; after a refusal the node says how it stands."""
        work.state = "claiming"
        given, kept = work.given, work.kept
        question = Question(
            do="fetch", task=given.task, queue=given.queue, lease=given.lease, run=self._voice.run, at=work.at
        )
        while not work.unwanted():
            text = work.text = await self._asks.fetch(question)
            if text is None:
                return False
            kept.attempt = text.attempt
            self._memory.keep(kept)
            event = TaskStarted(
                task=given.task,
                queue=given.queue,
                unit=self._spec.name,
                generation=1,
                pid=self._pid,
                attempt=text.attempt,
                nonce=kept.nonce,
                lease=given.lease,
                note=text.note,
            )
            envelope = self._voice.envelope(
                event,
                id=f"{given.task}-s{given.lease}-{kept.nonce}",
                cause=text.cause,
                task=given.task,
                trace=text.traceparent,
            )
            try:
                said = await self._voice.claim(envelope, text.after)
            except Conflict:
                continue
            kept.claim = said.position
            self._memory.keep(kept)
            return True
        return False

    async def _run(self, work: Work) -> Outcome | None:
        spec, text = self._spec, work.text
        assert text is not None
        if work.unwanted():
            return self._doomed(work, 0)
        ended: asyncio.Future[int] = self._loop.create_future()
        marker = f"{spec.marker}:{work.given.task}:{work.kept.lease}:{work.kept.nonce}"
        overflow = spec.state / "results" / f"{text.queue}.{text.task}.{text.attempt}"
        begun = self._loop.time()
        try:
            child = AgentChild(
                spec.command,
                spec.cwd,
                marker,
                stdin_of(text, spec.stdin == "prompt"),
                overflow,
                text.traceparent,
                lambda code: None if ended.done() else ended.set_result(code),
            )
        except OSError as problem:
            return Outcome(kind="exit", error=f"expected to start {spec.command[0]}, got {problem}")
        work.state, work.ended = "running", ended
        work.track = Track(child, spec.cwd, begun)
        work.kept.began = True
        self._memory.keep(work.kept)
        timer = self._loop.call_later(text.timeout_s, self._over, work, text.timeout_s)
        try:
            code = await ended
        finally:
            timer.cancel()
            if child.lives:
                child.kill()
        spent = round((self._loop.time() - begun) * 1000)
        return self._doomed(work, spent) if work.unwanted() else outcome_of(code, child, spent)

    def _over(self, work: Work, limit: float) -> None:
        self.stop(work, "timeout", f"expected an end within {limit:g} s, got none")

    def stop(self, work: Work, kind: str, why: str) -> None:
        """End a task early; an empty `kind` means that nobody waits for its end."""
        if work.doom is None:
            work.doom = (kind, why)
            if work.track is not None:
                work.track.child.kill()

    def _doomed(self, work: Work, spent: int) -> Outcome | None:
        kind, why = work.doom or ("", "")
        if not kind:
            return None
        return msgspec.convert({"kind": kind, "error": why, "service_ms": spent}, Outcome)
