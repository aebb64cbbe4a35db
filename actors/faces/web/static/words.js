// The words of the pages in English and Japanese, and numbers and times as people of either write them.
const JA = {
  "overview": "概要", "workers": "ワーカー", "agents": "エージェント", "tasks": "タスク", "queues": "キュー", "alerts": "警告",
  "decisions": "判断", "mana": "マナ", "indicators": "指標", "proposals": "提案", "logs": "ログ", "events": "イベント",
  "worker": "ワーカー名", "says": "報告", "agent": "エージェント名", "state": "状態", "memory": "メモリ", "tasks/h": "タスク/h", "done": "完了", "errors": "エラー",
  "restarts": "再起動", "uptime": "稼働時間", "queue": "キュー", "pending": "待ち", "in flight": "処理中", "oldest": "最古",
  "in/min": "到着/分", "out/min": "完了/分", "elf": "エルフ", "mode": "モード", "doing": "行動", "deferred": "延期",
  "worker state": "ワーカー状態", "elf activity": "エルフ活動", "mana level": "マナレベル", "recent actions": "最近のアクション",
  "open alerts": "発生中の警告", "waiting tasks": "待ちタスク", "total": "総合", "no alerts": "警告はありません", "nothing": "該当なし",
  "nothing yet": "まだありません", "running": "稼働中", "stopped": "停止", "starting": "起動中", "stopping": "停止中", "restarting": "再起動中",
  "suspended": "中断", "paused": "一時停止", "quiet": "受付停止", "quarantined": "隔離", "backoff": "再起動待ち", "exited": "終了",
  "waiting": "待機", "delayed": "予約", "assigned": "割当済", "failed": "失敗", "dead": "断念", "dropped": "破棄", "cancelled": "取消",
  "act": "実行", "advise": "助言", "observe": "観察", "fine": "正常", "warning": "警告", "restart": "再起動", "stop": "停止", "run": "開始",
  "scale": "台数", "auto": "自動", "pool": "プール", "wanted": "目標", "history": "推移", "log": "ログ", "actions": "操作",
  "phase": "段階", "load": "負荷", "room": "余力", "holds": "担当", "done share": "完了率", "error share": "エラー率", "last seen": "最終確認",
  "response": "応答", "alive": "稼働", "suspect": "疑い", "probing": "確認中", "down": "停止", "recovering": "復旧中", "probation": "試用",
  "retired": "引退", "absent": "不在", "revoked": "取消済", "monitor": "監視", "stepwise": "段階復帰", "full": "通常", "drain": "受付停止",
  "all states": "すべての状態", "all queues": "すべてのキュー", "all elves": "すべてのエルフ", "find an id": "ID を検索", "task": "タスク", "type": "種類",
  "attempts": "試行", "submitted": "投入", "result": "結果", "payload": "内容", "priority": "優先度", "due": "予定", "ended": "終了", "error": "エラー", "service": "処理", "cancel": "取消", "retry": "再試行",
  "newer": "新しい方", "older": "古い方", "of": "/", "cause": "原因", "target": "対象", "opened": "発生", "closed": "終了", "count": "回数",
  "acknowledge": "確認", "silence 1 h": "1時間静かに", "acknowledged": "確認済み", "silent until": "静音", "past alerts": "過去の警告", "verdict": "判定",
  "time": "時刻", "decision": "判断", "reason": "理由", "cost": "消費", "outcome": "結果", "verified": "確認済", "started": "開始", "none": "なし",
  "candidates": "候補", "candidate": "候補", "why not": "選ばなかった理由", "chosen": "採用", "score": "評価", "inputs": "根拠", "steps": "手順",
  "step": "手順", "story": "経緯", "policy": "方針", "position": "位置", "took": "所要", "with assignments": "割り当ても表示", "all of it": "すべて",
  "spent lately": "最近の消費", "refunded": "返還", "over time": "時間の推移", "last hour": "1時間", "6 hours": "6時間", "24 hours": "24時間", "7 days": "7日",
  "indicator": "指標", "goal": "目標", "value": "値", "met": "達成", "yes": "はい", "no": "いいえ", "no data": "データなし", "day": "日", "1 day": "1日", "30 days": "30日",
  "work done": "処理した仕事", "service time": "処理時間", "by day": "日ごと", "approve": "承認", "reject": "却下", "claim": "主張", "gain": "効果",
  "risk": "リスク", "rollback": "戻し方", "change": "変更", "expires": "期限", "open": "未回答", "approved": "承認済", "rejected": "却下済",
  "expired": "期限切れ", "replaced": "置換", "answered": "回答済み", "lines": "行", "choose a log": "ログを選ぶ", "the end of a longer log": "長いログの末尾",
  "connected": "接続中", "connecting": "再接続中", "time slider": "時間をさかのぼる", "as of": "時点", "back to now": "現在に戻る", "now": "現在",
  "this page shows now": "この画面は現在の内容です", "language": "言語", "light": "明", "dark": "暗", "skip": "本文へ", "sure": "よろしいですか？",
  "since": "開始", "node": "ノード", "log position": "ログ位置", "completion_rate": "作業完了率", "response_s": "平均応答時間", "error_rate": "エラー率",
  "type_safety": "型安全性", "load_spread": "負荷均等性", "single_point_share": "単一障害点リスク", "recovery_s": "復旧時間", "alert_precision": "予防的アラート精度",
  "flow": "フロー", "balance": "バランス", "healing": "ヒーリング", "wisdom": "ウィズダム", "source": "書き手", "event": "イベント", "subject": "宛先",
  "capacity": "上限", "in": "到着", "n": "件数", "page": "ページ", "theme": "配色", "said": "記録しました", "elves paused": "エルフは一時停止中",
  "worker or target": "対象", "right": "的中", "wrong": "外れ", "averted": "回避", "high": "高", "middle": "中", "low": "低", "critical": "重大", "info": "情報",
  "watches": "監視中:", "next reminder": "次回リマインド", "next job": "次回ジョブ", "open proposals": "提案", "pause": "全エルフを一時停止", "resume": "全エルフを再開",
};
const EN = {
  "response_s": "response time", "completion_rate": "completion rate", "error_rate": "error rate", "type_safety": "type safety",
  "load_spread": "load spread", "single_point_share": "single point share", "recovery_s": "recovery time", "alert_precision": "alert precision",
  "sure": "Are you sure?", "goal": "target", "said": "Written to the log", "this page shows now": "This page shows now", "skip": "Skip to content",
  "pause": "pause all elves", "resume": "resume all elves", "open proposals": "proposals ready",
};
const ELF_JA = { "time": "タイム" };

let language = document.documentElement.lang || "en";
try { language = localStorage.getItem("elf-language") || language; } catch { /* storage is off */ }
document.documentElement.lang = language;

export const lang = () => language;
export function setLang(next) {
  language = next;
  document.documentElement.lang = next;
  try { localStorage.setItem("elf-language", next); } catch { /* storage is off */ }
}
export const say = (word) => (language === "ja" ? JA[word] : EN[word]) ?? word;
export const title = (word) => { const text = say(word); return text.charAt(0).toUpperCase() + text.slice(1); };
export const elfName = (name) => (language === "ja" ? ELF_JA[name] ?? say(name) : name.charAt(0).toUpperCase() + name.slice(1));

const locale = () => (language === "ja" ? "ja-JP" : "en-GB");
export const count = (n) => (n === null || n === undefined ? "–" : Number(n).toLocaleString(locale()));
export const fixed = (n, digits = 1) => (n === null || n === undefined ? "–" : Number(n).toLocaleString(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits }));
export const percent = (share, digits = 1) => (share === null || share === undefined ? "–" : `${fixed(share * 100, digits)} %`);
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (bytes >= 1000 && i < 4) { bytes /= 1000; i++; }
  return `${fixed(bytes, i && bytes < 10 ? 1 : 0)} ${units[i]}`;
}
export function span(s) {
  if (s === null || s === undefined) return "–";
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 60) return `${fixed(s, s < 10 ? 1 : 0)} s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${Math.floor(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}
const two = (n) => String(n).padStart(2, "0");
export function clock(us) {
  if (us === null || us === undefined) return "–";
  const t = new Date(us / 1000);
  const time = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
  return t.toDateString() === new Date().toDateString() ? time : `${two(t.getMonth() + 1)}-${two(t.getDate())} ${time}`;
}
export function moment(us) {
  const t = new Date(us / 1000);
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
}
