"""Issues and pull requests through the API, each once, whatever answers get lost."""

import pytest

from actors.github import GitHub, GitHubAway, GitHubRefused, mark_of
from events.jobs import PublicationRequested
from tests.github_fake import REPO, TOKEN, Fake, fake_github, text_of

ISSUE = PublicationRequested(key="daily-1", kind="issue", title="Daily", body="# Daily\n\nwords")
PULL = PublicationRequested(
    key="weekly-1",
    kind="pull",
    title="Weekly",
    body="why",
    files={"proposals/week 1.md": "提案", "a.txt": "b"},
)


def github(fake: Fake, token: str = TOKEN) -> GitHub:
    """Return a client of the fake."""
    return GitHub(fake.api, REPO, token, "GITHUB_TOKEN")


def test_an_issue_is_opened_once() -> None:
    with fake_github() as fake:
        first = github(fake).open(ISSUE)
        again = github(fake).open(ISSUE)
        assert (first.number, first.found, again.number, again.found) == (1, False, 1, True)
        assert mark_of("daily-1") in fake.issues[0]["body"]
        assert TOKEN not in str(fake.issues)


def test_an_answer_that_got_lost_does_not_open_a_second_issue() -> None:
    with fake_github() as fake:
        fake.drop_answers = 1
        with pytest.raises(GitHubAway):
            github(fake).open(ISSUE)
        assert github(fake).open(ISSUE).found
        assert len(fake.issues) == 1


def test_an_old_issue_is_found_behind_many_newer_ones() -> None:
    with fake_github() as fake:
        github(fake).open(ISSUE)
        fake.issues += [{"number": n, "html_url": "", "body": None} for n in range(2, 250)]
        assert github(fake).open(ISSUE).number == 1


def test_a_pull_request_has_its_branch_and_files_and_is_opened_once() -> None:
    with fake_github() as fake:
        opened = github(fake).open(PULL)
        assert (opened.number, opened.found) == (1, False)
        assert text_of(fake.files["elf/weekly-1", "proposals/week 1.md"]) == "提案"
        assert fake.pulls[0]["base"] == "main"
        assert github(fake).open(PULL).found
        assert len(fake.pulls) == 1


@pytest.mark.parametrize("calls", range(1, 8))
def test_a_pull_request_that_was_cut_short_anywhere_is_finished(calls: int) -> None:
    with fake_github() as fake:
        real = github(fake)
        whole = _calls(fake, real)
        fake.pulls.clear()
        fake.refs.pop("elf/weekly-1")
        fake.files.clear()
        if calls >= whole:
            return
        _stop_after(fake, calls)
        with pytest.raises(GitHubAway):
            real.open(PULL)
        fake.trouble.clear()
        assert real.open(PULL).number
        assert len(fake.pulls) == 1
        assert len(fake.files) == 2


def _calls(fake: Fake, real: GitHub) -> int:
    real.open(PULL)
    return len(fake.calls)


def _stop_after(fake: Fake, calls: int) -> None:
    """Let the server break down after so many calls."""
    before = len(fake.calls) + calls

    class Trouble(list):  # type: ignore[type-arg]
        def __bool__(self) -> bool:
            return len(fake.calls) > before and len(self) > 0

    fake.trouble = Trouble([(502, {})] * 100)


def test_a_token_without_rights_is_said_clearly_and_without_the_token() -> None:
    with fake_github() as fake:
        fake.rights = False
        with pytest.raises(GitHubRefused) as caught:
            github(fake).open(ISSUE)
        assert str(caught.value) == (
            "expected the token in GITHUB_TOKEN to have issues of forest/elves, got 403:"
            " Resource not accessible by personal access token; try a token with that right"
        )
        assert not caught.value.final
        with pytest.raises(GitHubRefused, match="got 401: Bad credentials"):
            github(fake, "wrong").open(ISSUE)


def test_a_limit_or_a_breakdown_is_waited_for() -> None:
    with fake_github() as fake:
        fake.trouble = [(403, {"Retry-After": "7"})]
        with pytest.raises(GitHubAway) as caught:
            github(fake).open(ISSUE)
        assert caught.value.wait_s == 7.0
        fake.trouble = [(500, {})]
        with pytest.raises(GitHubAway):
            github(fake).open(ISSUE)
    with pytest.raises(GitHubAway, match="no answer"):
        github(fake).open(ISSUE)


def test_a_path_outside_the_repository_is_refused() -> None:
    with fake_github() as fake, pytest.raises(GitHubRefused, match="inside the repository"):
        github(fake).open(PublicationRequested(key="k", kind="pull", title="t", body="", files={"../x": "y"}))
