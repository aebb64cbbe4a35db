"""Tuning on a running node: a harmful setting, adopted on request, is taken back while it is on trial."""

import json
from pathlib import Path

import pytest

from events.analyses import TuningFound
from events.decisions import AdoptDistribution, AssignTask, Decided
from events.outcomes import EffectVerified
from events.settings import SettingsAdopted
from events.tasks import TaskFinished, TaskSubmitted
from tests.archive.folder import elf
from tests.nodes.test_agents import forest, submit
from tests.real_agent import RealAgent, agents
from tests.real_node import RealNode, real_node

SHORT, LONG = 0.0, 4.0


def mixed(name: str, short: int, long: int) -> list[TaskSubmitted]:
    """Return tasks of two kinds, the long ones evenly among the short ones."""
    every = short // long + 1
    return [
        TaskSubmitted(
            task=f"{name}{number}",
            queue="q",
            kind="long" if number % every == 0 else "short",
            payload={"takes": LONG if number % every == 0 else SHORT},
        )
        for number in range(short + long)
    ]


def adopted(node: RealNode, step: str) -> Decided | None:
    """Return what was decided about the distribution."""
    for _, decided in node.all(Decided):
        if isinstance(decided.action, AdoptDistribution) and decided.action.step == step:
            return decided
    return None


def verified(node: RealNode) -> int:
    """Return how many changes of the distribution were carried out."""
    return sum(body.target == "distribution" for _, body in node.all(EffectVerified))


def in_force(node: RealNode) -> list[tuple[str, str, dict[str, float], bool]]:
    """Return origin, policy, parameters and whether something is on trial, in the order of adoption."""
    return [
        (body.origin, it.policy, it.parameters, bool(it.canary))
        for _, body in node.all(SettingsAdopted)
        for it in (body.settings.distribution,)
    ]


@pytest.mark.slow
async def test_a_harmful_setting_is_taken_back_by_itself_and_why_tells_the_story(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A", "B", "C", wip=1)) as node:
        async with agents(*(RealAgent(node, name) for name in "ABC")):
            await submit(node, mixed("w", 12, 6))
            await node.wait(lambda _: len(node.all(TaskFinished)) >= 18, 120, "the sizes of both kinds")
            words = ("--policy", "pull_best", "--set", "weight=0", "--share", "0.5", "--least", "25")
            data = ("--data", str(node.data))
            refused = await elf("tune", *words, *data)
            assert refused[0] == 5
            assert "expected at least 200 tasks that agents ended, got 18" in refused[2]
            code, out, err = await elf(
                "tune", *words, "--trial-s", "600", "--anyway", "--apply", "--json", *data
            )
            assert code == 0, err
            assert json.loads(out)["approved"]
            await node.wait(lambda _: adopted(node, "canary") and in_force(node)[-1][3], 60, "the trial")
            await submit(node, mixed("t", 70, 28))
            await node.wait(lambda _: adopted(node, "rollback"), 240, "the rollback")
            back = adopted(node, "rollback")
            assert back is not None
            assert back.elf == "wisdom"
            assert back.reason == "slower"
            await node.wait(lambda _: verified(node) == 2, 60, "the old settings")
            assert not in_force(node)[-1][3]
            story = in_force(node)
            _check_groups(node)
        code, told, err = await elf("why", "distribution", *data)
        assert code == 0, err
    code, out, err = await elf("replay", "--elf", "balance", *data)
    assert code == 0, out + err
    code, out, err = await elf("replay", "--elf", "wisdom", *data)
    assert code == 0, out + err
    assert [(origin, tried) for origin, _, _, tried in story] == [
        ("file", False), ("tuning", True), ("tuning", False),
    ]  # fmt: skip
    assert story[-1][1:3] == story[0][1:3]
    (found,) = [body for _, body in node.all(TuningFound)]
    assert found.objections
    assert found.parameters == {"weight": 0.0}
    for words_told in ("is to be tried although", "approved", "is tried on 50%", "is taken back", "in force"):
        assert words_told in told, told


def _check_groups(node: RealNode) -> None:
    """Both policies gave out tasks, and every decision says which."""
    told = {
        decided.inputs.get("canary")
        for _, decided in node.all(Decided)
        if isinstance(decided.action, AssignTask) and decided.target.startswith("t")
    }
    assert {True, False} <= told


async def test_what_was_adopted_outlives_a_changed_file_and_a_new_start_until_a_person_takes_it_back(
    tmp_path: Path,
) -> None:
    async with real_node(tmp_path, forest("A")) as node:
        words = ("--policy", "pull_best", "--set", "weight=0.5", "--anyway", "--apply")
        code, _, err = await elf("tune", *words, "--data", str(node.data))
        assert code == 0, err
        await node.wait(lambda _: in_force(node)[-1][3], 60, "the trial")
        tried: tuple[str, str, dict[str, float], bool] = ("tuning", "pull_best", {}, True)
        node.configure(forest("A") + '[policy]\ndistribution = "pull_fair"\n')
        node.hup()
        await node.wait(
            lambda _: in_force(node)[-2:] == [("file", "pull_fair", {}, False), tried],
            60,
            "tuning above the file",
        )
        await node.kill9()
        before = len(in_force(node))
        await node.start()
        await node.wait(
            lambda _: len(in_force(node)) > before + 1 and in_force(node)[-1] == tried, 60, "both"
        )
        code, _, err = await elf("tune", "--withdraw", "--data", str(node.data))
        assert code == 0, err
        await node.wait(
            lambda _: in_force(node)[-1] == ("operator", "pull_fair", {}, False), 60, "the file's policy"
        )
