"""The words of a day's page in Japanese; English is what the page itself says."""

from collections.abc import Callable

Say = Callable[[str], str]

SAVED = "Saved: from a moved task's end to the return of the agent that had it. Cost: work in hand that an act struck."
FINE = "Nothing stands out: every indicator with data meets its target."

INDICATORS = {
    "completion_rate": "作業完了率",
    "response_s": "平均応答時間",
    "error_rate": "エラー率",
    "type_safety": "型安全性",
    "load_spread": "負荷均等性",
    "single_point_share": "単一障害点リスク",
    "recovery_s": "復旧時間",
    "alert_precision": "予防的アラート精度",
}

_JA = {
    "Daily analysis, {}": "日次分析 {}",
    "As of position {} of the log. Compared with {}, the day before, and {}, the same weekday.": "ログの位置 {} 時点。"
    "前日 {} および先週同曜日 {} と比較。",
    "Indicators": "指標",
    "Load distribution": "負荷分散",
    "Performance impact": "性能への影響",
    "Failure prevention": "障害予防",
    "Recommendations": "推奨事項",
    "indicator": "指標",
    "value": "値",
    "target": "目標",
    "met": "達成",
    "**missed**": "**未達**",
    "no data": "データなし",
    "n": "件数",
    "day before": "前日",
    "same weekday": "先週同曜日",
    "name": "名前",
    "done": "完了",
    "failed": "失敗",
    "busy": "作業時間",
    "mean": "平均",
    "agent": "エージェント",
    "worker": "ワーカー",
    "Share of work (%)": "作業の割合(%)",
    "Busy time of agents in percent of the time that they were there:": "エージェントの稼働率(在席時間に対する%):",
    "Tasks done by hour:": "時間別の完了タスク数:",
    "Nothing ended on this day.": "この日に終了したタスクはありません。",
    "this day": "当日",
    "the day before": "前日",
    "Submission to end:": "投入から終了まで:",
    "queue": "キュー",
    "type": "種類",
    "dead": "断念",
    "mean response": "平均応答",
    "and {} other types": "ほか {} 種類",
    "times": "回数",
    "failure": "失敗の種別",
    "error": "エラー",
    "right": "的中",
    "wrong": "外れ",
    "averted": "回避",
    "missed": "見逃し",
    "Forecasts of overloads: {}.": "過負荷の予測: {}。",
    "alert": "警告",
    "opened": "発生",
    "closed": "解消",
    "targets": "対象数",
    "open for": "継続時間",
    "rule": "規則",
    "act": "行動",
    "verified": "確認済",
    "took": "所要",
    "mana": "マナ",
    "saved": "節約",
    "cost": "損失",
    SAVED: "節約: 移されたタスクの終了から元の担当の復帰まで。損失: 行動が中断させた作業の時間。",
    "Nobody intervened.": "介入はありませんでした。",
    "down (UTC)": "停止 (UTC)",
    "recovered": "復旧",
    "for": "時間",
    "still down": "停止中",
    "job": "ジョブ",
    "kind": "種別",
    "runs": "実行",
    "bad": "失敗",
    FINE: "特記事項なし: データのある指標はすべて目標を達成。",
}


def words(lang: str) -> Say:
    """Return what says a phrase in a language; a phrase without a translation stays as it is."""
    return (lambda phrase: _JA.get(phrase, phrase)) if lang == "ja" else (lambda phrase: phrase)
