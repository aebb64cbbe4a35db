"""What causes and rules are called in both languages, and the words under which people look for them."""

from collections.abc import Mapping

from msgspec import Struct


class Term(Struct, frozen=True):
    """An English and a Japanese name, and further words in either language."""

    english: str
    japanese: str
    words: str = ""


TERMS: Mapping[str, Term] = {
    "crash": Term("worker crashed", "ワーカーの異常終了", "落ちた 停止 再起動 終了 crash exit restart"),
    "crash_loop": Term(
        "worker keeps crashing", "ワーカーの異常終了の繰り返し", "隔離 再起動 連続 crash loop quarantine"
    ),
    "quarantine": Term("worker in quarantine", "ワーカーの隔離", "隔離 異常終了 連続 crash loop"),
    "not_responding": Term(
        "worker does not respond", "ワーカーの応答なし", "無応答 固まる 応答 沈黙 hang silent"
    ),
    "stopped": Term(
        "worker stopped from outside", "ワーカーの外部からの停止", "停止 中断 一時停止 再開 SIGSTOP"
    ),
    "stopped_again": Term("worker stopped again and again", "ワーカーの停止の繰り返し", "停止 中断 SIGSTOP"),
    "memory": Term(
        "worker near its memory limit", "ワーカーのメモリ上限超過", "メモリ 記憶 上限 不足 再起動 memory"
    ),
    "leak": Term("memory leak", "メモリリーク", "メモリ 漏れ 増加 再起動 leak growth"),
    "deadlock": Term("deadlock", "デッドロック", "固まる ロック 待ち 停止 lock"),
    "livelock": Term("livelock", "ライブロック", "空転 暴走 CPU spin"),
    "stalled": Term("task without progress", "タスクの進行停止", "停滞 進行 応答 stall"),
    "zombie": Term("zombie processes", "ゾンビプロセス", "残骸 プロセス zombie"),
    "backlog": Term("tasks pile up", "タスクの滞留", "滞留 待ち 行列 渋滞 キュー 溢れ queue backlog"),
    "drain": Term("queue drains too slowly", "キューの消化の遅れ", "滞留 待ち 遅延 キュー queue"),
    "jam": Term("queue stands still", "キューの停止", "渋滞 停止 詰まり 待ち キュー queue jam"),
    "speed": Term("speed dropped", "処理速度の低下", "速度 低下 遅延 半減 slow"),
    "slow_queue": Term("queue works slowly", "キューの処理速度の低下", "速度 低下 遅延 slow"),
    "slow_peer": Term("worker slower than its peers", "同僚より遅いワーカー", "速度 低下 遅延 slow"),
    "skew": Term("uneven share of work", "作業配分の偏り", "偏り 配分 負荷 不均衡 skew"),
    "not_pulling": Term("worker takes no tasks", "タスクを取らないワーカー", "取得 停止 待ち pull"),
    "silence": Term("agent is silent", "エージェントの沈黙", "無応答 沈黙 応答 障害 silence"),
    "overload_forecast": Term("overload foreseen", "過負荷の予測", "予測 負荷 過多 高負荷 overload"),
    "overload": Term("overload", "過負荷", "負荷 過多 高負荷 overload"),
    "high_load": Term("load is high", "高負荷", "負荷 過多 load"),
    "response_time": Term("answers take long", "応答時間の超過", "応答 遅延 時間 slow"),
    "error_rate": Term("many errors", "エラー率の超過", "失敗 誤り エラー 障害 errors"),
    "unplaced": Term("no agent for a task", "割当先のないタスク", "割当 待ち 担当 unplaced"),
    "shared_cause": Term("a cause shared by many", "共通の原因", "共通 障害 網 一斉 shared"),
    "restart": Term("agent restarted", "エージェントの再起動", "障害 復旧 再起動 回復 recovery"),
    "verify": Term("agent verified", "エージェントの復旧確認", "障害 復旧 確認 検証 canary"),
    "down": Term("agent down", "エージェントの障害", "障害 停止 無応答 down"),
    "night_cap": Term("night cap gave way", "夜間上限の解除", "夜間 上限 滞留 night"),
    "scale": Term("pool scaled", "ワーカー数の増減", "増減 拡張 縮小 scale"),
    "job_failure": Term("job failed", "ジョブの失敗", "失敗 検査 試験 job"),
    "timeout": Term("time-out", "タイムアウト", "時間 制限 上限 timeout"),
    "weekly_pattern": Term("weekly pattern", "曜日の傾向", "曜日 傾向 周期 金曜 月曜 weekly"),
    "error_condition": Term("condition of errors", "エラーの条件", "失敗 条件 原因 エラー errors"),
    "order": Term("order of processing", "処理順序", "順序 優先 order"),
    "concurrency": Term("concurrency", "並行数", "並列 同時 並行 concurrency"),
    "batch": Term("batch size", "バッチサイズ", "一括 件数 batch"),
    "redistribute": Term("work moved to another agent", "負荷の再配分", "再配分 移動 負荷 redistribute"),
    "maintenance": Term("maintenance window", "保守の時間帯", "保守 点検 時間 maintenance"),
}

_KINDS = {
    "incident": ("Incident", "障害"),
    "pattern": ("Pattern that was solved more than once", "解決済みの傾向"),
    "decision": ("Adopted decision", "採用した判断"),
    "note": ("Note by a person", "人の記録"),
}


def term(name: str) -> Term:
    """Return the term of a cause or rule; an unknown one is its own name."""
    return TERMS.get(name) or Term(name.replace("_", " "), name.replace("_", " "))


def kind_names(kind: str) -> tuple[str, str]:
    """Return what a kind of record is called in English and Japanese."""
    return _KINDS.get(kind, (kind, kind))
