"""Which key does what on which panel, and what is asked before."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from actors.faces.look import pick


class Deed(NamedTuple):
    """An act of `actors.faces.acts` on the chosen row. `sure` is what it means, asked before it is done."""

    verb: str
    do: str
    english: str
    japanese: str
    sure: tuple[str, str] | None = None

    def named(self, lang: str) -> str:
        """Return what the act is called."""
        return pick(self.english, self.japanese, lang)


_RESTART = ("It ends at the edge of its task and starts anew.", "タスクの区切りで終了し、起動し直します。")
_STOP = ("It is ended and stays ended until it is started.", "終了し、開始するまで止まったままです。")
_QUIET = ("It finishes what it has and takes nothing new.", "手元の処理を終え、新しいタスクを受けません。")
_YES = ("The elf does what it proposes, on what is true then.", "エルフは提案した内容を実行します。")
_NO = ("The same is not proposed again for a while.", "同じ提案はしばらく行われません。")

DEEDS: Mapping[tuple[str, str], Deed] = {
    ("workers", "r"): Deed("worker", "restart", "restart", "再起動", _RESTART),
    ("workers", "s"): Deed("worker", "stop", "stop", "停止", _STOP),
    ("workers", "u"): Deed("worker", "quiet", "quiet", "受付停止", _QUIET),
    ("workers", "t"): Deed("worker", "run", "start", "開始"),
    ("agents", "u"): Deed("agent", "drain", "drain", "受付停止", _QUIET),
    ("agents", "t"): Deed("agent", "run", "run", "再開"),
    ("alerts", "a"): Deed("alert", "acknowledge", "acknowledge", "確認"),
    ("proposals", "y"): Deed("proposal", "approve", "approve", "承認", _YES),
    ("proposals", "n"): Deed("proposal", "reject", "reject", "却下", _NO),
}
PAUSE = Deed(
    "elves",
    "pause",
    "pause all elves",
    "全エルフの一時停止",
    (
        "They only observe: nothing is started again, given out or moved.",
        "観察のみになり、再起動も割当も移動も行いません。",
    ),
)
RESUME = Deed("elves", "resume", "resume all elves", "全エルフの再開")

_EVERYWHERE = (("/", "filter", "絞込"), ("l", "日本語", "English"))
_ALWAYS = (("?", "help", "ヘルプ"), ("q", "quit", "終了"))
PANELS = ("workers", "agents", "queues", "elves", "actions", "alerts", "proposals")


Hints = list[tuple[str, str]]


def hints(panel: str, lang: str, paused: bool) -> tuple[Hints, Hints]:
    """Return the keys that mean something on a panel, and what; then those that are never left out."""
    own = [(key, deed.named(lang)) for (where, key), deed in DEEDS.items() if where == panel]
    hold = pick("resume", "再開", lang) if paused else pick("pause", "一時停止", lang)
    rest = [(key, pick(english, japanese, lang)) for key, english, japanese in _EVERYWHERE]
    return [*own, ("w", pick("why", "理由", lang)), ("p", hold), *rest], [
        (key, pick(english, japanese, lang)) for key, english, japanese in _ALWAYS
    ]


def body_of(deed: Deed, about: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """Return what an act is told of a row of the page."""
    said = {"do": deed.do, "reason": reason}
    if deed.verb == "alert":
        return {**said, "name": about["cause"], "target": about["target"]}
    name = about.get("decision") if deed.verb == "proposal" else about.get("name")
    return {**said, "name": name} if name else said


HELP: tuple[tuple[str, str, str], ...] = (
    ("Tab, 1-7", "go to a panel", "パネルを選ぶ"),
    ("↑ ↓, j k", "choose a row", "行を選ぶ"),
    ("w, Enter", "why: the story of the row", "理由: その行の経緯"),
    ("r", "workers: restart", "ワーカー: 再起動"),
    ("s / t", "workers: stop / start", "ワーカー: 停止 / 開始"),
    ("u", "workers, agents: take nothing new", "ワーカー、エージェント: 受付停止"),
    ("a", "alerts: acknowledge", "警告: 確認"),
    ("y / n", "proposals: approve / reject", "提案: 承認 / 却下"),
    ("p", "pause or resume all elves", "全エルフの一時停止 / 再開"),
    ("/", "filter by a word, ! for those in trouble", "語で絞り込み、! は問題のある行のみ"),
    ("Esc", "no filter any more", "絞り込みを解除"),
    ("l", "Japanese or English", "日本語 / 英語"),
    ("q", "quit; the node goes on", "終了(ノードは動き続けます)"),
)
