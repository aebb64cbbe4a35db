"""What an agent may not do, and what becomes of what it does wrong: said in one line, and nobody else is harmed."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import msgspec

from actors.connection import Connection, connect, read_credentials
from actors.jetstream import JetStreamLog
from events.agents import AgentIntentSet, AgentRevoked, HandedOver
from events.codec import encode
from events.decisions import Decided
from events.event import Event
from events.log import LogError, envelope
from events.observations import Quarantined
from events.outcomes import EffectFailed
from events.subjects import subject_of
from events.tasks import TaskCancelled, TaskDied, TaskFailed, TaskFinished, TaskStarted
from tests.archive.folder import elf
from tests.nodes.test_agents import forest, one, submit, touch
from tests.real_agent import RealAgent, agents
from tests.real_node import RealNode, real_node


async def enter(node: RealNode, name: str) -> Connection:
    """Log in with an agent's credentials, without its program."""
    return await connect(read_credentials(node.data / "secrets" / f"agent-{name}.json"), f"test-{name}")


async def test_an_agent_says_its_own_word_and_hears_its_own_orders_and_nothing_else(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A", "B")) as node:
        connection = await enter(node, "A")
        client = connection.client
        try:
            for subject in (
                "log.lease",
                f"log.node.{node.name}.sampled.node",
                "log.agent.B.agent_joined.B",
                "log.agent.A.agent_joined.B",
                "log.agent.A.task.q.t.submitted",
                "log.agent.A.task.q.t.cancelled",
                "log.agent.A.task.other.t.started.1",
                "log.operator.cli.agent_intent_set.B",
                "beat.agent.B",
                "ctl.status",
                "ctl.agent",
                "ctl.agent.B",
                "agent.B.cmd",
                "_INBOX.node.x",
                "_INBOX.operator.x",
                "$JS.API.STREAM.INFO.LOG",
                "$JS.API.STREAM.PURGE.LOG",
                "$JS.API.CONSUMER.INFO.LOG.a_A",
                "$JS.API.CONSUMER.MSG.NEXT.LOG.a_B",
                "$JS.API.CONSUMER.CREATE.LOG.mine",
                "$JS.API.DIRECT.GET.LOG",
                "$JS.API.DIRECT.GET.LOG.log.agent.B.x",
                "$JS.ACK.LOG.a_B.1.1.1.1.1",
                "$JS.ACK.LOG.q_q.1.1.1.1.1",
                "$JS.API.CONSUMER.MSG.NEXT.LOG.qh_q",
            ):
                connection.refusals.clear()
                await client.publish(subject, b"{}")
                await client.flush()
                await node.wait(lambda _: connection.refusals, 5, f"a refusal of {subject}")
                assert subject.lower() in connection.refusals[0].lower()
            for subject in ("log.>", "agent.B.>", "_INBOX.node.>", "ctl.>", "beat.>", "$JS.API.>", ">"):
                connection.refusals.clear()
                await client.subscribe(subject)
                await client.flush()
                await node.wait(lambda _: connection.refusals, 5, f"a refusal of {subject}")
        finally:
            await connection.close()


async def test_words_under_a_false_name_are_no_events(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A", "B")) as node:
        holder = RealAgent(node, "B")
        async with agents(holder):
            go = tmp_path / "go"
            await submit(node, [one("t", wait_for=str(go))])
            await node.saw(TaskStarted, task="t")
            connection = await enter(node, "A")
            try:
                false = envelope("false", 1, f"node.{node.name}", TaskCancelled(task="t", queue="q"))
                await connection.client.publish("log.agent.A.task.q.t.finished", encode(false))
                other = TaskFinished(task="t", queue="q", unit="B", generation=1, attempt=1, claim=1)
                await connection.client.publish(
                    "log.agent.A.task.q.t.finished", encode(envelope("other", 1, "agent.A", other))
                )
                await connection.client.flush()
                await node.wait(lambda _: len(node.all(Quarantined)) == 2, what="two quarantined")
                found = node.all(Quarantined)
                assert all("expected" in body.reason for _, body in found)
                go.touch()
                _, finished = await node.saw(TaskFinished, task="t")
                assert finished.unit == "B"
                row = await node.ask("sql", sql="SELECT state FROM tasks WHERE id = 't'")
                assert row["rows"] == [["done"]]
            finally:
                await connection.close()


async def test_a_result_for_a_task_that_an_agent_does_not_hold_counts_for_nothing(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A", "B")) as node:
        holder = RealAgent(node, "B")
        async with agents(holder):
            go = tmp_path / "go"
            await submit(node, [one("t", wait_for=str(go))])
            claim, started = await node.saw(TaskStarted, task="t")
            connection = await enter(node, "A")
            try:
                await said(
                    connection,
                    TaskStarted(
                        task="t", queue="q", unit="A", generation=1, pid=1, attempt=1, nonce="x", lease=1
                    ),
                )
                await said(
                    connection,
                    TaskFinished(
                        task="t", queue="q", unit="A", generation=1, attempt=1, claim=claim, result=13
                    ),
                )
                answer = await question(connection, do="settle", task="t", queue="q", lease=1, claim=claim)
                assert answer == {"ok": True, "yours": False, "why": "it never was"}
                answer = await question(connection, do="fetch", task="t", queue="q", lease=1)
                assert answer["ok"] is False
                assert "not A's any more" in answer["error"]
                go.touch()
                _, finished = await node.saw(TaskFinished, task="t", unit="B")
                assert finished.claim == claim
                assert started.unit == "B"
            finally:
                await connection.close()


async def said(connection: Connection, body: Event) -> None:
    """Publish an event as this agent, without any condition."""
    source = connection.credentials.source
    entry = envelope(f"said-{time.time_ns()}", 1, source, body)
    await connection.client.request(subject_of(source, body), encode(entry), timeout=5)


async def question(connection: Connection, **words: Any) -> dict[str, Any]:
    """Ask the node as this agent."""
    name = connection.credentials.source.removeprefix("agent.")
    reply = await connection.client.request(f"ctl.agent.{name}", msgspec.json.encode(words), timeout=15)
    answer: dict[str, Any] = msgspec.json.decode(reply.data)
    return answer


async def test_garbage_is_said_once_and_changes_nothing(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A")) as node:
        agent = RealAgent(node, "A")
        async with agents(agent):
            connection = await enter(node, "A")
            try:
                for data in (b"", b"{", b"\xff\xfe", b"[]", b'{"agent":"B","run":"x"}', b'{"agent":7}'):
                    await connection.client.publish("beat.agent.A", data)
                for asked in (b"", b"[]", b'{"do":"fly"}', b'{"do":"fetch","task":"a b","queue":"q"}'):
                    reply = await connection.client.request("ctl.agent.A", asked, timeout=15)
                    answer = json.loads(reply.data)
                    assert answer["ok"] is False
                    assert answer["error"].startswith("expected")
                    assert "\n" not in answer["error"]
            finally:
                await connection.close()
            await submit(node, [one("t")])
            await node.saw(TaskFinished, task="t")
            assert node.words().count("it counts as no beat") == 1


async def test_a_result_over_the_limit_fails_and_is_kept(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A").replace("max_attempts = 8", "max_attempts = 1")) as node:
        agent = RealAgent(node, "A")
        async with agents(agent):
            await submit(node, [one("t", size=300_000)])
            _, failed = await node.saw(TaskFailed, task="t")
            assert failed.kind == "garbage"
            assert "at most 262144 bytes, got 300001" in failed.error
            _, handed = await node.saw(HandedOver, task="t")
            (kept,) = handed.note["artefacts"]
            assert size_of(kept) == 300_001


def size_of(path: str) -> int:
    """Return the size of a file."""
    return Path(path).stat().st_size


async def test_garbage_in_a_tasks_way_does_not_keep_it_from_its_end(tmp_path: Path) -> None:
    toml = forest("A", "B").replace("max_attempts = 8", "max_attempts = 2")
    async with real_node(tmp_path, toml) as node:
        holder, gate = RealAgent(node, "B"), tmp_path / "gate"
        async with agents(holder):
            connection = await enter(node, "A")
            try:
                await submit(node, [one("t", wait_for=str(gate), fails="not today")])
                await node.saw(TaskStarted, task="t", attempt=1)
                for number in (1, 2):
                    # Between its claim and its end, and again where the node wants to give it up.
                    await connection.client.request(f"log.agent.A.task.q.t.started.{number}", b"{", timeout=5)
                touch(gate)
                await node.saw(TaskFailed, task="t", attempt=1)
                await connection.client.request("log.agent.A.task.q.t.finished", b"no event", timeout=5)
                await node.saw(TaskFailed, task="t", attempt=2)
                await connection.client.request("log.agent.A.task.q.t.finished", b"no event", timeout=5)
                _, died = await node.saw(TaskDied, task="t")
                assert (died.attempts, died.kind) == (2, "error")
            finally:
                await connection.close()


async def test_revoked_and_wrong_credentials_are_refused_in_one_line(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A")) as node:
        data = ("--data", str(node.data))
        code, out, err = await elf("agent", "add", "B", *data)
        assert (code, out.strip()) == (0, str(node.data / "secrets" / "agent-B.json"))
        assert (node.data / "secrets" / "agent-B.json").stat().st_mode & 0o777 == 0o600
        added, stays = RealAgent(node, "B"), RealAgent(node, "A")
        async with agents(added, stays):
            go = tmp_path / "go"
            await submit(node, [one(f"t{number}", wait_for=str(go)) for number in range(2)])
            await node.saw(TaskStarted, unit="B")
            kept = added.cred.read_text()
            code, _, err = await elf("agent", "revoke", "B", "--reason", "lost laptop", *data)
            assert code == 0, err
            await node.saw(AgentRevoked, agent="B")
            assert not added.cred.exists()
            assert await added.ended() == 1
            assert "credentials were withdrawn; try elf agent add B" in added.words()
            go.touch()
            for number in range(2):
                await node.saw(TaskFinished, task=f"t{number}", unit="A", seconds=60)
            added.cred.write_text(kept)
            await added.spawn()
            assert await added.ended() == 1
            assert added.words().splitlines()[-1].endswith("was it revoked? try elf agent add B")
            added.cred.unlink()
            await added.spawn()
            assert await added.ended() == 2
            assert "got no such file; try elf agent add B" in added.words().splitlines()[-1]
            assert stays.process
            assert stays.process.returncode is None


async def test_a_wrong_canary_keeps_an_agent_down(tmp_path: Path) -> None:
    canary = '[agent.canary]\npayload = {answer = {right = "no"}}\nresult = "yes"\n'
    async with real_node(tmp_path, forest("A", wip=1, more=canary)) as node:
        agent = RealAgent(node, "A")
        async with agents(agent):
            await agent.kill9()
            await node.saw(Decided, rule="down", target="A")
            await agent.start()
            decision, _ = await node.decided("verify", "A", seconds=60)
            _, failed = await node.saw(EffectFailed, decision=decision.id)
            assert failed.error.startswith("expected the canary's result 'yes', got")
            assert "\n" not in failed.error


async def test_a_cancelled_task_ends_with_its_whole_tree(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A", wip=1)) as node:
        agent = RealAgent(node, "A")
        async with agents(agent):
            await submit(node, [one("t", wait_for=str(tmp_path / "never"), leaves=True)])
            await node.saw(TaskStarted, task="t")
            await node.wait(lambda _: len(agent.children()) >= 2, what="a command and what it leaves")
            code, _, err = await elf("task", "cancel", "t", "--data", str(node.data))
            assert code == 0, err
            await node.wait(lambda _: not agent.children(), what="the end of the tree")
            await submit(node, [one("next")])
            await node.saw(TaskFinished, task="next")
            assert not node.all(TaskFailed, task="t")


async def test_an_agent_works_through_the_nodes_death_and_its_result_counts(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A", wip=1)) as node:
        agent = RealAgent(node, "A")
        async with agents(agent):
            go = tmp_path / "go"
            await submit(node, [one("t", wait_for=str(go))])
            await node.saw(TaskStarted, task="t")
            await node.kill9()
            go.touch()
            await node.saw(TaskFinished, task="t", unit="A")
            await submit(node, [one("next")])
            await node.start()
            await node.saw(TaskFinished, task="next", unit="A", seconds=60)


async def test_a_result_waits_for_the_server(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A", wip=1)) as node:
        agent = RealAgent(node, "A")
        async with agents(agent):
            go = tmp_path / "go"
            await submit(node, [one("t", wait_for=str(go))])
            await node.saw(TaskStarted, task="t")
            node.signal_server(9)
            go.touch()
            await node.saw(TaskFinished, task="t", unit="A", seconds=60)


async def test_nobody_reads_the_log_with_an_agents_credentials(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A")) as node:
        connection = await enter(node, "A")
        try:
            log = JetStreamLog(connection, timeout=1.0)
            try:
                found = await log.at(1)
            except LogError:
                found = None
            assert found is None
            await asyncio.sleep(0)
        finally:
            await connection.close()


async def test_no_answer_of_the_server_can_be_sent_into_the_log(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A")) as node:
        agent = RealAgent(node, "A")
        async with agents(agent):
            connection = await enter(node, "A")
            try:
                false = envelope(
                    "false", 1, "operator.cli", AgentIntentSet(agent="A", intent="retire", reason="forged")
                )
                own = "log.agent.A.handed_over.t"
                await connection.client.request(own, encode(false), timeout=5)
                for target in (
                    "log.lease",
                    "log.operator.cli.agent_intent_set.A",
                    f"log.node.{node.name}.x.y",
                ):
                    for subject in (
                        own,
                        f"$JS.API.DIRECT.GET.LOG.{own}",
                        "$JS.API.CONSUMER.MSG.NEXT.LOG.a_A",
                        "ctl.agent.A",
                    ):
                        await connection.client.publish(subject, b'{"batch":1}', reply=target)
                await connection.client.flush()
                await submit(node, [one("t")])
                await node.saw(TaskFinished, task="t")
            finally:
                await connection.close()
            assert not node.all(AgentIntentSet)
            assert not [event for event in node.events if event.subject == f"log.node.{node.name}.x.y"]
            assert len([event for event in node.events if event.subject == "log.lease"]) == 1
