"""`elf plan`, `elf approve`, `elf reject`: what elves propose or advise, and what people answer."""

import asyncio
from typing import Any

import msgspec

from actors.client import Client
from actors.faces.acts import answer
from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import HERE, Language, Where, WhereOption, language
from actors.faces.console.output import clock, padded, show_json, show_table
from actors.faces.console.reading import Reading
from actors.faces.console.words import say
from actors.faces.look import pick
from actors.faces.reasons import reason

_LIST = "SELECT * EXCLUDE (action) FROM proposals WHERE ? OR state = 'open' ORDER BY seq DESC LIMIT 200"
_ONE = (
    "SELECT * EXCLUDE (action), json_extract_string(action, '$.pool') AS pool, json_extract(action, '$.batch') AS batch"
    " FROM proposals WHERE starts_with(id, ?) ORDER BY seq DESC LIMIT 2"
)


def plan(
    id: str = "",
    /,
    *,
    all: bool = False,
    json: bool = False,
    lang: Language | None = None,
    where: WhereOption = HERE,
) -> int:
    """List what elves propose or advise and nobody has answered yet; with an id, all that one of them rests on.

    Parameters
    ----------
    id
        A proposal's id or the beginning of it.
    all
        Answered, expired and replaced ones, too.
    json
        Print a list of {"id", "elf", "rule", "target", "text", "state", "expires", "claim", "sql", "gain", ...}.
    lang
        en or ja.
    """
    with Reading(where.place()) as reading:
        if id:
            return _show(_one(reading, id), json, language(lang))
        rows = reading.query(_LIST, [all])
    if json:
        show_json([_plain(row) for row in rows])
        return Exit.FINE
    tongue = language(lang)
    if not rows:
        print(say("nothing", tongue))
        return Exit.FINE
    heads = ["id", "time", "elf", "rule", "target", "state", "proposal"]
    cells = [
        (
            row["id"][:9],
            clock(row["time"]),
            row["elf"],
            row["rule"],
            row["target"],
            _state(row, tongue),
            reason(row["text"], tongue, row["target"]),
        )
        for row in rows
    ]
    show_table([say(head, tongue) for head in heads], cells)
    return Exit.FINE


def approve(id: str, /, *, reason: str = "", json: bool = False, where: WhereOption = HERE) -> int:
    """Say yes to a proposal or a piece of advice; advice is decided anew on what is true now, within an hour.

    Parameters
    ----------
    id
        Its id as elf plan shows it, or the beginning of it.
    reason
        Why, for the log.
    json
        Print {"id", "answer", "position"}.
    """
    return _answer(id, True, reason, json, where)


def reject(id: str, /, *, reason: str = "", json: bool = False, where: WhereOption = HERE) -> int:
    """Say no to a proposal or a piece of advice; the same is not said again for a while.

    Parameters
    ----------
    id
        Its id as elf plan shows it, or the beginning of it.
    reason
        Why, for the log.
    json
        Print {"id", "answer", "position"}.
    """
    return _answer(id, False, reason, json, where)


def _answer(id: str, yes: bool, reason: str, as_json: bool, where: Where) -> int:
    with Reading(where.place()) as reading:
        row = _one(reading, id)
    if row["state"] != "open":
        raise Failure(f"expected an open proposal, got {row['id']}: {row['state']}; try elf plan", Exit.NO)
    body = answer(row, yes, reason)

    async def send() -> int:
        async with await Client.open(where.place(), "operator") as client:
            return await client.say(body, cause=row["id"])

    position = asyncio.run(send())
    said = "approved" if yes else "rejected"
    left = by_hand(row, "en" if as_json else language(None)) if yes else ""
    if as_json:
        show_json({"id": row["id"], "answer": said, "position": position, "next": left})
    else:
        print("\n".join([f"{row['id']}: {said} (position {position})", *([left] if left else [])]))
    return Exit.FINE


def by_hand(row: dict[str, Any], lang: Language) -> str:
    """Return what is left to a person, as no elf writes into a configuration; nothing where an elf goes on."""
    change = msgspec.json.decode(row["change"]) if isinstance(row["change"], str) else row["change"] or {}
    if row["choice"] == "propose_batch":
        change = {"what": f"[[worker]] {row['pool']}", "key": "batch", "to": row["batch"]}
    if not str(change.get("what", "")).startswith("[["):
        return ""
    what, key, to = change["what"], change["key"], change["to"]
    return pick(
        f"next: set {key} = {to} of {what} in forest.toml and send SIGHUP to the node; no elf writes into that file",
        f"次の手順: forest.toml の {what} で {key} = {to} とし、ノードに SIGHUP を送る(エルフはこの設定を書き換えない)",
        lang,
    )


def _one(reading: Reading, id: str) -> dict[str, Any]:
    """Return the proposal of an id or of its beginning. Raises Failure."""
    rows = reading.query(_ONE, [id])
    if not rows:
        raise Failure(f"expected the id of a proposal, got {id!r}; try elf plan --all", Exit.NO)
    if len(rows) > 1 and rows[0]["id"] != id:
        ids = f"{rows[0]['id']} and {rows[1]['id']}"
        raise Failure(f"expected the beginning of one id, got {id!r}, which begins {ids}; try more of it")
    return rows[0]


def _show(row: dict[str, Any], as_json: bool, lang: Language) -> int:
    if as_json:
        show_json(_plain(row))
        return Exit.FINE
    print(f"{row['id']}  {row['elf']} {row['rule']} {row['target']}: {_state(row, lang)}")
    print(f"  {reason(row['text'], lang, row['target'])}")
    told = [(name, reason(row[name] or "", lang)) for name in ("claim", "gain")]
    if row["low"] is not None:
        to = pick(" to ", "~", lang)
        told.append(("interval", f"{row['low']:g}{to}{row['high']:g}, n = {row['n']}"))
    told += [(name, reason(row[name] or "", lang)) for name in ("risk", "rollback")]
    told += [("change", _text(row["change"])), ("sql", row["sql"])]
    told += [("expires", clock(row["expires"])), ("answer", row["answer"])]
    for name, value in told:
        if value:
            print(f"  {padded(say(name, lang), 9)} {value}")
    return Exit.FINE


def _state(row: dict[str, Any], lang: Language) -> str:
    """Return what became of a proposal; an alert that is open goes on, a proposal that is open waits for an answer."""
    return pick("open", "未回答", lang) if row["state"] == "open" else say(row["state"], lang)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    change = row["change"]
    return {**row, "change": msgspec.json.decode(change) if isinstance(change, str) else change}


def _text(change: object) -> str:
    if change is None or change in ("{}", {}):
        return ""
    return change if isinstance(change, str) else msgspec.json.encode(change).decode()
