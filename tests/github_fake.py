"""As much of GitHub's API as issues and pull requests need, on a real HTTP server on the loopback."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "s3cret-token-of-nobody"
REPO = "forest/elves"


class Fake(ThreadingHTTPServer):
    """One repository. `rights` is what the token may do; `trouble` answers the next requests, one each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issues: list[dict[str, Any]] = []
        self.pulls: list[dict[str, Any]] = []
        self.refs: dict[str, str] = {"main": "0" * 40}
        self.files: dict[tuple[str, str], str] = {}
        self.rights = True
        self.trouble: list[tuple[int, dict[str, str]]] = []
        self.calls: list[str] = []
        self.drop_answers = 0

    @property
    def api(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Fake
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve("GET", {})

    def do_POST(self) -> None:
        self._serve("POST", self._body())

    def do_PUT(self) -> None:
        self._serve("PUT", self._body())

    def _body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def _serve(self, method: str, body: dict[str, Any]) -> None:
        url = urlsplit(self.path)
        self.server.calls.append(f"{method} {url.path}")
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401, {"message": "Bad credentials"})
        elif self.server.trouble:
            status, headers = self.server.trouble.pop(0)
            self._answer(status, {"message": "trouble"}, headers)
        elif not url.path.startswith(f"/repos/{REPO}"):
            self._answer(404, {"message": "Not Found"})
        elif method != "GET" and not self.server.rights:
            self._answer(403, {"message": "Resource not accessible by personal access token"})
        else:
            path = unquote(url.path.removeprefix(f"/repos/{REPO}").strip("/"))
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            status, answer = self._route(method, path, query, body)
            if method == "POST" and self.server.drop_answers:
                self.server.drop_answers -= 1
                self.close_connection = True
                return
            self._answer(status, answer)

    def _route(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        fake = self.server
        match method, path.split("/"):
            case "GET", [""]:
                return 200, {"default_branch": "main"}
            case "GET", ["issues"]:
                first = (int(query["page"]) - 1) * int(query["per_page"])
                return 200, list(reversed(fake.issues))[first : first + int(query["per_page"])]
            case "POST", ["issues"]:
                return 201, self._made(fake.issues, body, "issues")
            case "GET", ["git", "ref", "heads", *branch]:
                name = "/".join(branch)
                found = fake.refs.get(name)
                return (200, {"object": {"sha": found}}) if found else (404, {"message": "Not Found"})
            case "POST", ["git", "refs"]:
                name = body["ref"].removeprefix("refs/heads/")
                if name in fake.refs:
                    return 422, {"message": "Reference already exists"}
                fake.refs[name] = body["sha"]
                return 201, {}
            case "GET", ["contents", *parts]:
                text = fake.files.get((query["ref"], "/".join(parts)))
                return (200, {"sha": "f" * 40, "content": text}) if text else (404, {"message": "Not Found"})
            case "PUT", ["contents", *parts]:
                fake.files[body["branch"], "/".join(parts)] = body["content"]
                return 201, {}
            case "GET", ["pulls"]:
                head = query["head"].partition(":")[2]
                return 200, [pull for pull in fake.pulls if pull["head"]["ref"] == head]
            case "POST", ["pulls"]:
                if any(pull["head"]["ref"] == body["head"] for pull in fake.pulls):
                    known = {"message": "A pull request already exists for forest:elf."}
                    return 422, {"message": "Validation Failed", "errors": [known]}
                return 201, self._made(fake.pulls, {**body, "head": {"ref": body["head"]}}, "pull")
            case _:
                return 404, {"message": "Not Found"}

    def _made(self, where: list[dict[str, Any]], body: dict[str, Any], word: str) -> dict[str, Any]:
        number = len(self.server.issues) + len(self.server.pulls) + 1
        made = {**body, "number": number, "html_url": f"https://github.example/{REPO}/{word}/{number}"}
        where.append(made)
        return made

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def text_of(content: str) -> str:
    """Return what stands in a file of the fake."""
    return base64.b64decode(content).decode()


@contextmanager
def fake_github() -> Iterator[Fake]:
    """Run one."""
    fake = Fake()
    thread = threading.Thread(target=fake.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.shutdown()
        fake.server_close()
        thread.join(5)
