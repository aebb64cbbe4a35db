"""How a forest looks to people on a terminal: marks, bars of mana, what elves did and do next, in two languages."""

import time
from datetime import datetime
from typing import Any

from actors.faces.console.output import plain
from actors.faces.console.words import say
from actors.faces.reasons import reason

MARKS = {"fine": "✔", "warning": "⚠", "bad": "✖", "busy": "↻", "off": "◦"}
"""Letters of one column each in every terminal, whatever its idea of emoji."""

_ELVES = {
    "flow": "フロー",
    "time": "タイム",
    "balance": "バランス",
    "healing": "ヒーリング",
    "wisdom": "ウィズダム",
}
# What an action is to do, what it was once done, and both in Japanese.
_DEEDS = {
    "start_unit": ("start {}", "started {}", "{} を起動"),
    "stop_unit": ("stop {}", "stopped {}", "{} を停止"),
    "restart_unit": ("restart {}", "restarted {}", "{} を再起動"),
    "continue_unit": ("continue {}", "continued {}", "{} を再開"),
    "take_evidence": ("take evidence of {}", "took evidence of {}", "{} の証拠を採取"),
    "repair_file": ("repair a file of {}", "repaired a file of {}", "{} のファイルを修復"),
    "tell_unit": ("tell {}", "told {}", "{} に通知"),
    "quarantine_unit": ("put {} in quarantine", "put {} in quarantine", "{} を隔離"),
    "assign_task": ("give out {}", "gave out {}", "{} を割当"),
    "give_up_task": ("give up {}", "gave up {}", "{} を断念"),
    "mark_agent": ("mark {}", "marked {}", "{} の状態を変更"),
    "ping_agent": ("ping {}", "pinged {}", "{} に応答確認"),
    "restart_agent": ("restart {}", "restarted {}", "{} を再起動"),
    "verify_agent": ("verify {}", "verified {}", "{} の復旧を確認"),
    "scale_pool": ("scale {}", "scaled {}", "{} の台数を変更"),
    "move_tasks": ("move tasks of {}", "moved tasks of {}", "{} のタスクを再配分"),
    "propose": ("propose a change of {}", "proposed a change of {}", "{} の変更を提案"),
    "propose_move": ("propose to move {}", "proposed to move {}", "{} の移動を提案"),
    "propose_batch": ("propose batches for {}", "proposed batches for {}", "{} のバッチ拡大を提案"),
    "propose_maintenance": ("propose maintenance of {}", "proposed maintenance of {}", "{} の保守を提案"),
    "propose_restart": ("propose to restart {}", "proposed to restart {}", "{} の再起動を提案"),
    "remind": ("remind {}", "reminded {}", "{} にリマインド"),
    "prepare": ("prepare {}", "prepared {}", "{} に準備を通知"),
    "run_job": ("run {}", "ran {}", "{} を実行"),
    "escalate": ("tell people of {}", "told people of {}", "{} を連絡"),
    "notify": ("tell people of {}", "told people of {}", "{} を連絡"),
    "raise_alert": ("raise an alert on {}", "raised an alert on {}", "{} の警告"),
    "clear_alert": ("clear the alert on {}", "cleared the alert on {}", "{} の警告を解除"),
    "defer": ("put off {}", "put off {}", "{} への対処を延期"),
    "abstain": ("leave {} alone", "left {} alone", "{} は静観"),
    "score_alert": ("judge a forecast on {}", "judged a forecast on {}", "{} の予測を評価"),
    "adopt_distribution": ("change the distribution", "changed the distribution", "配分方針を変更"),
}
_MODES = {"advise": ("advises to {}", "助言:{}"), "observe": ("would {}", "観察:{}")}


def pick(english: str, japanese: str, lang: str) -> str:
    """Return one of two texts."""
    return japanese if lang == "ja" else english


def marked(row: dict[str, Any], lang: str) -> str:
    """Return the state of a worker or an agent behind its mark."""
    return f"{MARKS.get(row.get('mark', ''), ' ')} {say(row['state'], lang)}"


def own_words(row: dict[str, Any]) -> str:
    """Return what a plain program says of itself, and what it got on with last."""
    progress = f"[{row['progress']}]" if row.get("progress") else ""
    return " ".join(part for part in (row.get("words", ""), progress) if part)


def elf_name(name: str, lang: str) -> str:
    """Return what an elf is called."""
    return pick(name.capitalize(), _ELVES.get(name, name), lang)


def bar(level: float, capacity: float, cells: int = 10) -> str:
    """Draw a level, as in ████████░░."""
    full = round(cells * min(1.0, max(0.0, level / capacity))) if capacity > 0 else 0
    return "█" * full + "░" * (cells - full)


def percent(elf: dict[str, Any]) -> int:
    """Return an elf's mana in percent of what it can hold."""
    return round(100 * int(elf["mana"]) / int(elf.get("capacity") or 100))


def ago(seconds: float, lang: str) -> str:
    """Spell how long ago something was, in one word or two."""
    for size, english, japanese in ((86400, "d", "日"), (3600, "h", "時間"), (60, "min", "分")):
        if seconds >= size:
            return pick(f"{seconds // size:.0f} {english} ago", f"{seconds // size:.0f}{japanese}前", lang)
    return pick("just now", "たった今", lang)


def at(seconds: float, now: float | None = None) -> str:
    """Spell a moment to the minute in the local zone, with its day when that is not today's."""
    moment = datetime.fromtimestamp(seconds).astimezone()
    today = datetime.fromtimestamp(time.time() if now is None else now).astimezone().date()
    return f"{moment:%H:%M}" if moment.date() == today else f"{moment:%m-%d %H:%M}"


def deed(row: dict[str, Any], lang: str) -> str:
    """Say what a decision does, in a few words."""
    phrase, mode = _DEEDS.get(row.get("choice", "")), _MODES.get(row.get("mode", ""))
    if phrase is None:
        return str(row.get("choice") or reason(row["text"], lang))
    intent, done, japanese = phrase
    told = pick(intent if mode else done, japanese, lang).format(row["target"])
    return pick(*mode, lang).format(told) if mode else told


def action(row: dict[str, Any], lang: str) -> str:
    """Say what a decision does and why."""
    why = reason(row["text"], lang, row["target"])
    return pick(f"{deed(row, lang)} ({why})", f"{deed(row, lang)}: {why}", lang)


def elf_line(elf: dict[str, Any], lang: str, now: float | None = None) -> str:
    """Say what an elf watches, has ready, does next and did last."""
    now = time.time() if now is None else now
    parts = []
    doing, watching, due, last = elf["doing"], elf.get("watching"), elf.get("next"), elf.get("last")
    if doing:
        queues = elf["name"] == "flow" and ": " in doing
        parts.append(pick(f"queues {doing}", f"キュー監視中({doing})", lang) if queues else f"▶ {doing}")
    if watching:
        names = ", ".join(watching)
        parts.append(pick(f"watching {names}", f"{names} を監視中", lang))
    if due:
        parts.append(_due(due, lang, now))
    if elf.get("proposals"):
        count = elf["proposals"]
        parts.append(pick(f"{count} proposal{'s' * (count > 1)} ready", f"提案{count}件", lang))
    if last:
        when = ago(now - last["time"], lang)
        parts.append(pick(f"{deed(last, lang)} {when}", f"{deed(last, lang)}({when})", lang))
    if elf["deferred"]:
        parts.append(pick(f"{elf['deferred']} deferred", f"延期{elf['deferred']}件", lang))
    return plain(pick(" · ", "・", lang).join(parts)) or "-"


def _due(due: dict[str, Any], lang: str, now: float) -> str:
    what = pick("next reminder", "次回リマインド", lang)
    if due["kind"] == "job":
        what = pick("next job", "次回ジョブ", lang)
    about = " ".join(text for text in (due["worker"] or due["name"], due["text"]) if text)
    return f"{what} {at(due['time'], now)} {about}"
