"""What the dashboard shows, whom it lets in and what it writes."""

import asyncio
import socket
from pathlib import Path

import pytest

from actors.faces.web.guard import Unsafe, read_token
from actors.faces.web.site import Site
from events.observations import IntentSet, ScaleSet
from events.outcomes import WorkerStarted
from tests.real_node import real_node
from tests.web.visitor import ACT, SLEEPER, WEB, address, news, visit

QUESTIONS = (
    "status tasks task/t1 decisions alerts mana kpi samples proposals span events logs"
    " mana?span=7d kpi?days=30&span=24h tasks?state=done&find=x decisions?elf=flow&all=1"
).split()
NASTY = '<img src=x onerror="document.title=1">\u202e</script>'


async def test_pages_are_small_safe_and_all_ours(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + WEB) as node, visit(node) as web:
        page = await web.get("/")
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        names = [path.name for path in (Path(__file__).parents[2] / "actors/faces/web/static").iterdir()]
        whole = 0
        for name in names:
            if name.endswith(".html"):
                assert (await web.get(f"/static/{name}")).status_code == 404
                continue
            asset = await web.get(f"/static/{name}")
            assert asset.status_code == 200
            assert "http://" not in asset.text.replace("http://www.w3.org/", "")
            assert "https://" not in asset.text
            whole += len(asset.content)
            again = await web.get(f"/static/{name}", headers={"if-none-match": asset.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        assert whole + len(page.content) < 150_000
        assert (await web.get("/static/..%2f__init__.py")).status_code == 404
        zipped = await web.get("/static/told.js", headers={"accept-encoding": "gzip"})
        assert zipped.headers["content-encoding"] == "gzip"


async def test_every_question_has_an_answer_and_bad_ones_a_sentence(tmp_path: Path) -> None:
    toml = '[[queue]]\nname = "q"\n' + SLEEPER + WEB
    async with real_node(tmp_path, toml) as node, visit(node) as web:
        await node.runs("a")
        await node.submit("q", [("t1", {"text": NASTY}), ("t2", 2)])
        for question in QUESTIONS:
            answer = await web.get(f"/api/{question}")
            assert answer.status_code == 200, answer.text
        found = (await web.get("/api/tasks?state=waiting")).json()
        assert {task["id"] for task in found["tasks"]} == {"t1", "t2"}
        assert found["total"] == 2
        made = (await web.get("/api/decisions?target=a")).json()["decisions"][0]
        told = (await web.get(f"/api/decision/{made['id']}")).json()
        assert told["decision"]["choice"] == "start_unit"
        story = (await web.get(f"/api/why/{made['id']}?lang=ja")).json()
        assert any("起動" in line["text"] for line in story["lines"])
        ja = {"accept-language": "ja"}
        assert made["text"] == "a is wanted and does not run"
        for asked, name in (("decisions?target=a", "decisions"), ("status", "actions")):
            rows = (await web.get(f"/api/{asked}", headers=ja)).json()[name]
            assert "a: 稼働すべきだが停止中" in [row["text"] for row in rows]
        assert made in (await web.get("/api/decisions?target=a")).json()["decisions"]
        past = (await web.get("/api/at?position=5")).json()
        assert past["position"] == 5
        for wrong, code in (("at?position=x", 400), ("kpi?days=2", 400), ("mana?span=9y", 400)):
            assert (await web.get(f"/api/{wrong}")).status_code == code
        told = await web.get("/api/why/nobody", headers=ja)
        assert told.json()["error"] == "期待: タスク、ワーカー、エージェント、判断のいずれか / 実際: 'nobody'"
        for unknown in (
            "why/nobody",
            "task/nobody",
            "decision/nobody",
            "logs/nobody",
            "logs/..%2Fsecrets",
            "at?time=1",
        ):
            answer = await web.get(f"/api/{unknown}")
            assert answer.status_code in (404, 409), unknown


async def test_the_past_is_the_page_that_replay_folds(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + WEB) as node, visit(node) as web:
        started, _ = await node.saw(WorkerStarted, unit="a")
        before = (await web.get(f"/api/at?position={started - 1}")).json()
        after = (await web.get(f"/api/at?position={started}")).json()
        assert [row["pid"] for row in before["workers"]] == [None]
        assert [row["pid"] for row in after["workers"]] == [node.all(WorkerStarted)[0][1].pid]
        again = (await web.get(f"/api/at?position={started - 1}")).json()
        assert again == before


async def test_acts_are_said_in_the_log_as_by_the_operator(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + WEB) as node, visit(node) as web:
        await node.runs("a")
        done = await web.post("/api/act/worker", json={"name": "a", "do": "restart"}, headers=ACT)
        assert done.status_code == 200, done.text
        position, said = await node.saw(IntentSet, target="a")
        assert (position, said.restart) == (done.json()["position"], True)
        assert node.events[position - 1].source == "operator.cli"
        await node.runs("a", 2)
        assert (
            await web.post("/api/act/scale", json={"name": "a", "count": -1}, headers=ACT)
        ).status_code == 200
        await node.saw(ScaleSet, pool="a", count=-1)
        refused: tuple[tuple[str, dict[str, object]], ...] = (
            ("worker", {"name": "nobody", "do": "stop"}),
            ("worker", {"name": "a", "do": "fly"}),
            ("worker", {"do": "stop"}),
            ("scale", {"name": "a", "count": 99}),
            ("scale", {"name": "a", "count": True}),
            ("task", {"name": "t", "do": "retry"}),
            ("proposal", {"name": "x", "do": "approve"}),
            ("alert", {"name": "x", "target": "y", "do": "acknowledge"}),
            ("agent", {"name": "x", "do": "drain"}),
            ("fly", {}),
        )
        for verb, body in refused:
            answer = await web.post(f"/api/act/{verb}", json=body, headers=ACT)
            assert 400 <= answer.status_code < 500, (verb, answer.text)
            assert answer.json()["error"].startswith("expected")
        for raw in (b"no json", b"[]", b"x" * 70_000):
            assert (await web.post("/api/act/worker", content=raw, headers=ACT)).status_code == 400


async def test_foreign_names_and_foreign_pages_are_kept_out(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + WEB) as node, visit(node) as web:
        port = web.base_url.port or 0
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "192.168.1.1", ""):
            answer = await web.get("/api/status", headers={"host": host})
            assert answer.status_code in (400, 403), host
        for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
            assert (await web.get("/api/status", headers={"host": host})).status_code == 200
        body = {"name": "a", "do": "stop"}
        forged: tuple[dict[str, str], ...] = (
            {},
            {**ACT, "origin": "http://evil.example"},
            {**ACT, "origin": "null"},
            {**ACT, "origin": f"http://127.0.0.1:{port + 1}"},
            {**ACT, "sec-fetch-site": "cross-site"},
            {**ACT, "sec-fetch-site": "same-site"},
        )
        for headers in forged:
            answer = await web.post("/api/act/worker", json=body, headers=headers)
            assert answer.status_code == 403, headers
        assert node.all(IntentSet) == []
        own = {**ACT, "origin": f"http://127.0.0.1:{port}", "sec-fetch-site": "same-origin"}
        assert (await web.post("/api/act/worker", json=body, headers=own)).status_code == 200
        await node.saw(IntentSet, target="a", intent="stop")


async def test_a_token_is_asked_for_where_one_is_set(tmp_path: Path) -> None:
    toml = SLEEPER + f'\n[web]\nport = 0\nauth = "{tmp_path / "token"}"\n'
    async with real_node(tmp_path, toml) as node, visit(node) as web:
        path = tmp_path / "token"
        assert path.stat().st_mode & 0o777 == 0o600
        token = path.read_text().strip()
        shut = await web.get("/")
        assert shut.status_code == 401
        assert "<form" in shut.text
        assert token not in shut.text
        assert (await web.get("/static/forest.css")).status_code == 200
        nobody = await web.get("/api/status")
        assert (nobody.status_code, nobody.json()["error"][:38]) == (
            401,
            "expected the dashboard's token, got no",
        )
        wrong = await web.get("/api/status", headers={"authorization": "Bearer nonsense"})
        assert (wrong.status_code, "a wrong one" in wrong.text) == (401, True)
        right = await web.get("/api/status", headers={"authorization": f"Bearer {token}"})
        assert right.status_code == 200
        assert (await web.post("/login", data={"token": "nonsense"})).status_code == 401
        entered = await web.post("/login", data={"token": token})
        assert entered.status_code == 303
        assert "HttpOnly" in entered.headers["set-cookie"]
        assert token not in entered.headers["set-cookie"]
        assert (await web.get("/api/status")).status_code == 200
        assert token not in node.words()


async def test_news_resume_behind_the_position_a_page_has_seen(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + WEB) as node, visit(node) as web:
        await node.runs("a")
        _, hello = await news(web, "hello")
        assert hello["build"] == Site("x", "en").build
        start, _ = await node.saw(WorkerStarted, unit="a")
        place, body = await news(web, "worker_started", after=start - 1)
        assert place >= start
        assert next(event[0] for event in body["events"]) == start
        said = asyncio.create_task(news(web, "intent_set", after=place))
        await node.intend("a", "run", restart=True)
        place, body = await said
        assert body["after"] < place
        # The node's next life has no ring: what a page missed meanwhile comes from the tables.
        port = web.base_url.port
        await node.stop()
        await node.start()
        assert (await address(node)).endswith(f":{port}/")
        resumed, body = await news(web, "lease_taken", after=place)
        assert body["after"] == place
        assert resumed > place
        assert [event[2] for event in body["events"] if event[2] == "lease_taken"] == ["lease_taken"]


async def test_a_huge_tail_is_bounded(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + WEB) as node, visit(node) as web:
        await node.runs("a")
        log = node.data / "logs" / "a.log"
        with log.open("ab") as file:
            file.truncate(45_000_000)
        with log.open("ab") as file:
            file.write(b"y" * 100_000 + b"\n" + NASTY.encode() + b"\xff\xfe\nlast\n")
        answer = await web.get("/api/logs/a?lines=1000")
        body = answer.json()
        assert body["lines"][-1] == "last"
        assert body["lines"][-2].startswith(NASTY)
        assert body["cut"] is True
        assert len(answer.content) < 300_000
        log.unlink()
        log.symlink_to(node.data / "secrets" / "operator.json")
        assert (await web.get("/api/logs/a")).status_code == 409
        log.unlink()
        log.write_text("")


async def test_the_node_works_without_its_dashboard(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        toml = SLEEPER + f"\n[web]\nport = {taken.getsockname()[1]}\n"
        async with real_node(tmp_path, toml) as node:
            await node.runs("a")
            while "no dashboard: expected 127.0.0.1:" not in node.words():
                await asyncio.sleep(0.02)
            assert (await node.status())["node"]["web_url"] == ""


async def test_an_open_page_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + WEB) as node, visit(node) as web:
        await node.runs("a")
        async with web.stream("GET", "/api/news") as answer:
            assert answer.status_code == 200
            assert await node.stop() == 0
        assert not (node.data / "run" / "web.json").exists()


def test_a_token_file_for_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = read_token(path)
    assert read_token(path) == token
    path.chmod(0o640)
    with pytest.raises(Unsafe, match="640; try chmod 600"):
        read_token(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(Unsafe, match="at least 16"):
        read_token(path)
