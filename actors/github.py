"""Opens issues and pull requests through GitHub's API, each at most once: it looks for its own mark first. Blocking."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from actors.web_request import Answer, Unreached, send
from events.jobs import PublicationRequested

_PAGES = 3
_PER_PAGE = 100
_WAIT_S = 30.0


class Opened(Struct, frozen=True):
    """It stands there; `found` tells that it stood there before."""

    number: int
    url: str
    found: bool


class GitHubAway(Exception):
    """Nobody answered, or not now; try again after `wait_s`."""

    def __init__(self, text: str, wait_s: float = _WAIT_S) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class GitHubRefused(Exception):
    """The answer is no. Not `final` where a right or the repository is missing, which somebody may give."""

    def __init__(self, text: str, final: bool) -> None:
        super().__init__(text)
        self.final = final


class GitHub:
    """One repository with one token; the token stands in headers only."""

    def __init__(self, api: str, repo: str, token: str, token_env: str, branch: str = "") -> None:
        self._api = api
        self._repo = repo
        self._token = token
        self._token_env = token_env
        self._branch = branch

    def open(self, wanted: PublicationRequested) -> Opened:
        """Open it unless it stands. Raises GitHubAway, GitHubRefused."""
        if wanted.kind == "pull":
            return self._pull(wanted)
        found = self._find_issue(mark_of(wanted.key))
        if found:
            return found
        made = self._call("POST", "issues", {"title": wanted.title, "body": _marked(wanted)}, right="issues")
        return Opened(int(made["number"]), str(made["html_url"]), False)

    def _find_issue(self, mark: str) -> Opened | None:
        for page in range(1, _PAGES + 1):
            query = {
                "state": "all",
                "sort": "created",
                "direction": "desc",
                "per_page": _PER_PAGE,
                "page": page,
            }
            rows = self._call("GET", f"issues?{urlencode(query)}", right="issues")
            for row in rows:
                if mark in str(row.get("body") or "") and "pull_request" not in row:
                    return Opened(int(row["number"]), str(row["html_url"]), True)
            if len(rows) < _PER_PAGE:
                return None
        return None

    def _pull(self, wanted: PublicationRequested) -> Opened:
        branch = f"elf/{wanted.key}"
        found = self._find_pull(branch)
        if found:
            return found
        base = self._branch or str(self._call("GET", "", right="metadata")["default_branch"])
        tip = self._call("GET", f"git/ref/heads/{quote(base)}", right="contents")["object"]["sha"]
        self._call(
            "POST",
            "git/refs",
            {"ref": f"refs/heads/{branch}", "sha": tip},
            right="contents",
            known="Reference already exists",
        )
        for path, text in sorted(wanted.files.items()):
            self._put_file(branch, path, text, wanted.title)
        body = {"title": wanted.title, "head": branch, "base": base, "body": _marked(wanted)}
        made = self._call("POST", "pulls", body, right="pull requests", known="already exists")
        if "number" not in made:
            found = self._find_pull(branch)
            if found:
                return found
            raise GitHubAway("a pull request is said to exist and is not listed yet")
        return Opened(int(made["number"]), str(made["html_url"]), False)

    def _find_pull(self, branch: str) -> Opened | None:
        query = urlencode({"state": "all", "head": f"{self._repo.partition('/')[0]}:{branch}"})
        rows = self._call("GET", f"pulls?{query}", right="pull requests")
        row = next((row for row in rows if row["head"]["ref"] == branch), None)
        return Opened(int(row["number"]), str(row["html_url"]), True) if row else None

    def _put_file(self, branch: str, path: str, text: str, title: str) -> None:
        if path.startswith("/") or ".." in path.split("/"):
            raise GitHubRefused(f"expected a path inside the repository, got {path!r}", final=True)
        content = base64.b64encode(text.encode()).decode()
        where = f"contents/{quote(path)}"
        there = self._call("GET", f"{where}?{urlencode({'ref': branch})}", right="contents", missing=True)
        if str(there.get("content", "")).replace("\n", "") == content:
            return
        body = {"message": title, "content": content, "branch": branch}
        if there.get("sha"):
            body["sha"] = str(there["sha"])
        self._call("PUT", where, body, right="contents")

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        right: str,
        known: str = "",
        missing: bool = False,
    ) -> Any:
        """Call the repository's API; {} where `missing` may be, or where it says that what is `known` stands."""
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "elf-forest",
            "Content-Type": "application/json",
        }
        data = None if body is None else msgspec.json.encode(body)
        url = f"{self._api}/repos/{self._repo}" + (f"/{path}" if path else "")
        try:
            answer = send(method, url, headers, data, 20.0)
        except Unreached as problem:
            raise GitHubAway(str(problem)) from None
        if missing and answer.status == 404:
            return {}
        said = _message(answer)
        if known and answer.status == 422 and known in said:
            return {}
        if not 200 <= answer.status < 300:
            raise self._problem(answer, said, right)
        try:
            return msgspec.json.decode(answer.body)
        except msgspec.DecodeError:
            raise GitHubAway("expected JSON from the API, got something else") from None

    def _problem(self, answer: Answer, said: str, right: str) -> GitHubAway | GitHubRefused:
        limited = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
        if answer.status == 429 or answer.status >= 500 or (answer.status == 403 and limited):
            text = answer.headers.get("retry-after", "")
            return GitHubAway(f"got {answer.status}", float(text) if text.isdigit() else _WAIT_S)
        if answer.status in (401, 403, 404):
            return GitHubRefused(
                f"expected the token in {self._token_env} to have {right} of {self._repo}, got {answer.status}:"
                f" {said}; try a token with that right",
                final=False,
            )
        return GitHubRefused(f"expected {self._repo} to take it, got {answer.status}: {said}", final=True)


def mark_of(key: str) -> str:
    """Return what stands in the body of everything of ours, unseen by readers."""
    return f"<!-- elf-forest:{key} -->"


def _marked(wanted: PublicationRequested) -> str:
    return f"{wanted.body}\n\n{mark_of(wanted.key)}"


def _message(answer: Answer) -> str:
    """Return what the API says, its details included."""
    try:
        found = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return "no JSON"
    if not isinstance(found, dict):
        return "no message"
    details = [
        str(each.get("message", each)) if isinstance(each, dict) else str(each)
        for each in found.get("errors") or []
    ]
    return "; ".join([str(found.get("message", "no message")), *details])[:300]
