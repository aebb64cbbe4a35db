"""Reports and proposals of jobs as issues and pull requests: once each across crashes, and no secret in the log."""

from pathlib import Path

import pytest

from events.jobs import JobFinished, PublicationOpened, PublicationRefused, PublicationRequested
from tests.github_fake import REPO, TOKEN, Fake, fake_github, text_of
from tests.real_node import real_node


def forest(fake: Fake, more: str) -> str:
    """Return a file with the fake as its GitHub."""
    return f'[github]\nrepo = "{REPO}"\ntoken_env = "TOKEN_OF_TEST"\napi = "{fake.api}"\n' + more


DAILY = """
[[job]]
name = "daily"
every = "1s"
kind = "report"
command = ["echo", "# 日次レポート"]
to = ["github"]
"""
WEEKLY = """
[[job]]
name = "weekly"
every = "1s"
kind = "maintenance"
command = ["echo", '{"title": "更新", "body": "なぜ", "files": {"deps.txt": "a==2"}}']
to = ["github"]
"""


async def test_a_report_is_an_issue_and_a_proposal_a_pull_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_OF_TEST", TOKEN)
    with fake_github() as fake:
        async with real_node(tmp_path, forest(fake, DAILY + WEEKLY)) as node:
            for job in ("daily", "weekly"):
                _, wanted = await node.saw(PublicationRequested, job=job)
                _, opened = await node.saw(PublicationOpened, key=wanted.key)
                assert opened.url.startswith("https://github.example/forest/elves/")
            assert fake.issues[0]["title"].startswith("日次レポート (")
            assert {text_of(text) for text in fake.files.values()} == {"a==2"}
            assert TOKEN not in node.words()
            assert not [event for event in node.events if TOKEN.encode() in event.data]
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


async def test_a_node_killed_between_the_other_side_and_the_log_opens_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_OF_TEST", TOKEN)
    with fake_github() as fake:
        fake.drop_answers = 1000
        async with real_node(tmp_path, forest(fake, DAILY.replace("1s", "3s"))) as node:
            _, wanted = await node.saw(PublicationRequested)
            await node.wait(lambda _: fake.issues, what="an issue whose answer is lost")
            await node.kill9()
            fake.drop_answers = 0
            await node.start()
            _, opened = await node.saw(PublicationOpened, key=wanted.key)
            assert opened.found
            marks = [issue["body"].splitlines()[-1] for issue in fake.issues]
            assert len(marks) == len(set(marks))


async def test_a_token_without_rights_is_one_clear_alert_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_OF_TEST", TOKEN)
    with fake_github() as fake:
        fake.rights = False
        async with real_node(tmp_path, forest(fake, DAILY)) as node:
            _, refused = await node.saw(PublicationRefused)
            assert (
                "expected the token in TOKEN_OF_TEST to have issues of forest/elves, got 403" in refused.error
            )
            _, decided = await node.decided("publication", "github")
            assert "got 403" in decided.text
            await node.kill9()
            fake.rights = True
            await node.start()
            await node.saw(PublicationOpened, key=refused.key)
            await node.decided("publication", "github", reason="opened")


async def test_without_a_token_the_jobs_run_all_the_same(tmp_path: Path) -> None:
    with fake_github() as fake:
        async with real_node(tmp_path, forest(fake, DAILY)) as node:
            _, refused = await node.saw(PublicationRefused)
            assert refused.error.startswith("expected TOKEN_OF_TEST in the node's environment, got nothing")
            await node.saw(JobFinished, ok=True)
            assert not fake.calls
