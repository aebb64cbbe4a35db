"""What a day's figures recommend, each piece with the query that shows what it rests on."""

from collections.abc import Iterator
from typing import Any

from events.analyses import Advice

_LEAST = 5
"""With fewer ends than this nothing is said of a single unit, type or rule."""

_WORSE = 1.2
_VERIFIED = 0.7


def advice(found: dict[str, Any], lang: str = "en") -> list[Advice]:
    """Return recommendations, those on missed targets first, in English or Japanese (`ja`)."""
    ja = lang == "ja"
    load, performance = found["load_distribution"], found["performance_impact"]
    prevention, day = found["failure_prevention"], found["day"]
    missed = {row["name"]: row for row in performance["indicators"] if row["met"] is False}
    return [
        *_ends(missed, performance, ja),
        *_errors(missed, load, day, ja),
        *_response(missed, performance, day, ja),
        *_balance(missed, load, day, ja),
        *_outages(missed, prevention, ja),
        *_forecasts(missed, prevention, day, ja),
        *_types(missed, prevention, ja),
        *_rules(prevention, ja),
        *_trend(missed, performance, ja),
    ]


def _ends(missed: dict[str, Any], performance: dict[str, Any], ja: bool) -> Iterator[Advice]:
    if "completion_rate" not in missed:
        return
    dead = sorted((row for row in performance["types"] if row["dead"]), key=lambda row: -row["dead"])
    for row in dead[:1]:
        error = next(
            (e for e in performance["errors"] if (e["queue"], e["type"]) == (row["queue"], row["type"])), None
        )
        most = f"; most often: {error['error']}" if error else ""
        most_ja = f"(最多のエラー: {error['error']})" if error else ""
        yield Advice(
            rule="completion_rate",
            target=row["queue"],
            text=f"{_kind(row)} の断念タスク {row['dead']} 件を確認してください{most_ja}"
            if ja
            else f"look at the dead letters of {_kind(row)}: {row['dead']} tasks gave up{most}",
            sql=_sql(
                "SELECT id, error, attempts FROM tasks WHERE queue = ? AND state = 'dead'", row["queue"]
            ),
        )


def _errors(missed: dict[str, Any], load: dict[str, Any], day: str, ja: bool) -> Iterator[Advice]:
    if "error_rate" not in missed:
        return
    judged = [row for row in load["units"] if row["done"] + row["failed"] >= _LEAST and row["failed"]]
    worst = max(judged, key=lambda row: row["failed"] / (row["done"] + row["failed"]), default=None)
    if worst is not None:
        ends = worst["done"] + worst["failed"]
        yield Advice(
            rule="error_rate",
            target=worst["unit"],
            text=f"{worst['unit']} を確認してください: {ends} 回の試行のうち {worst['failed']} 回が失敗"
            if ja
            else f"look at {worst['role']} {worst['unit']}: {worst['failed']} of {ends} attempts went wrong",
            sql=_sql(
                "SELECT error, count(*) AS n FROM task_end WHERE effective AND what <> 'finished' AND unit = ?"
                " AND day = ? GROUP BY ALL ORDER BY n DESC",
                worst["unit"],
                day,
            ),
        )


def _response(missed: dict[str, Any], performance: dict[str, Any], day: str, ja: bool) -> Iterator[Advice]:
    if "response_s" not in missed:
        return
    slow = max(
        (row for row in performance["types"] if row["response_s"]),
        key=lambda row: row["response_s"] * row["done"],
        default=None,
    )
    if slow is not None:
        service = slow["service_s"] or 0.0
        if service < slow["response_s"] / 2:
            what = "it mostly waits: give its queue more workers or agents"
            what_ja = "大半は待ち時間: キューの担当を増やしてください"
        else:
            what, what_ja = "it mostly runs: split the work", "大半は処理時間: 作業を分割してください"
        yield Advice(
            rule="response_s",
            target=slow["queue"],
            text=f"{_kind(slow)} は投入から終了まで {slow['response_s']:.0f} 秒、うち処理 {service:.0f} 秒。{what_ja}"
            if ja
            else f"{_kind(slow)} takes {slow['response_s']:.0f} s from submission to end, {service:.0f} s of it"
            f" in hand; {what}",
            sql=_sql(
                "SELECT hour, unit, done, busy_s, response_s FROM load_hours WHERE queue = ? AND hour::DATE = ?"
                " ORDER BY hour",
                slow["queue"],
                day,
            ),
        )


def _balance(missed: dict[str, Any], load: dict[str, Any], day: str, ja: bool) -> Iterator[Advice]:
    sql = _sql("SELECT agent, load, done, work_s FROM agent_days WHERE day = ? ORDER BY load DESC", day)
    loaded = sorted((row for row in load["agents"] if row["load"] is not None), key=lambda row: row["load"])
    if "load_spread" in missed and len(loaded) > 1:
        low, high = loaded[0], loaded[-1]
        yield Advice(
            rule="load_spread",
            target=high["agent"],
            text=f"{high['agent']} の稼働率 {high['load']:.0f} %、{low['agent']} は {low['load']:.0f} %:"
            f" {low['agent']} に同じ種類の作業をより多く、または同時に割り当ててください"
            if ja
            else f"{high['agent']} was busy for {high['load']:.0f} % of its time, {low['agent']} for"
            f" {low['load']:.0f} %: let {low['agent']} take more of the same kinds, or more at once",
            sql=sql,
        )
    whole = sum(row["work_s"] for row in load["agents"])
    if "single_point_share" in missed and whole:
        top = max(load["agents"], key=lambda row: row["work_s"])
        yield Advice(
            rule="single_point_share",
            target=top["agent"],
            text=f"{top['agent']} が全作業の {100 * top['work_s'] / whole:.0f} % を担当:"
            " 他でもできる作業は分担し、停止中の担当を復帰させてください"
            if ja
            else f"{top['agent']} did {100 * top['work_s'] / whole:.0f} % of all work: give what others can do as well"
            " to them, and bring back who is down",
            sql=sql,
        )


def _outages(missed: dict[str, Any], prevention: dict[str, Any], ja: bool) -> Iterator[Advice]:
    worst = max(prevention["outages"], key=lambda row: row["took_s"], default=None)
    if "recovery_s" in missed and worst is not None:
        state = "came back after" if worst["recovered"] else "has been down for"
        hours = f"{worst['took_s'] / 3600:.1f}"
        state_ja = f"復帰まで {hours} 時間" if worst["recovered"] else f"停止して {hours} 時間"
        yield Advice(
            rule="recovery_s",
            target=worst["agent"],
            text=f"{worst['agent']} は{state_ja}: 再起動コマンドとカナリアを設定するか、所有者に尋ねてください"
            if ja
            else f"{worst['agent']} {state} {hours} h: give it a restart command and a canary,"
            " or ask its owner",
            sql=_sql("SELECT * FROM recoveries WHERE agent = ? ORDER BY down", worst["agent"]),
        )


def _forecasts(missed: dict[str, Any], prevention: dict[str, Any], day: str, ja: bool) -> Iterator[Advice]:
    verdicts = prevention["forecasts"]
    sql = _sql("SELECT * FROM forecasts WHERE day = ?", day)
    if "alert_precision" in missed:
        yield Advice(
            rule="alert_precision",
            target="overload",
            text=f"過負荷の予測は外れ {verdicts['wrong']} 件、的中 {verdicts['right']} 件:"
            " predicted_overload を 10 まで上げるか、助言のみにしてください"
            if ja
            else f"{verdicts['wrong']} forecasts of an overload were wrong, {verdicts['right']} right: raise"
            " predicted_overload by up to 10, or let the rule only advise",
            sql=sql,
        )
    if verdicts["missed"] > verdicts["right"] + verdicts["averted"]:
        yield Advice(
            rule="missed_overloads",
            target="overload",
            text=f"予測されなかった過負荷 {verdicts['missed']} 件: predicted_overload を 10 まで下げてください"
            if ja
            else f"{verdicts['missed']} overloads came without a forecast: lower predicted_overload by up to 10",
            sql=sql,
        )


def _types(missed: dict[str, Any], prevention: dict[str, Any], ja: bool) -> Iterator[Advice]:
    if "type_safety" in missed:
        for row in prevention["jobs"]:
            if row["kind"] == "types" and row["bad"]:
                last = (row["tail"] or "").strip().rsplit("\n", 1)[-1]
                yield Advice(
                    rule="type_safety",
                    target=row["job"],
                    text=f"{row['job']}: {row['runs']} 回中 {row['bad']} 回でエラー。最後: {last[:160]}"
                    if ja
                    else f"{row['job']} found errors in {row['bad']} of {row['runs']} runs; last: {last[:160]}",
                    sql=_sql(
                        "SELECT time, tail FROM job_runs WHERE job = ? AND NOT ok ORDER BY time DESC",
                        row["job"],
                    ),
                )


def _rules(prevention: dict[str, Any], ja: bool) -> Iterator[Advice]:
    for row in prevention["interventions"]:
        judged = row["verified"] + row["failed"]
        if judged >= _LEAST and row["verified"] < _VERIFIED * judged:
            yield Advice(
                rule="useful_interventions",
                target=f"{row['elf']}.{row['rule']}",
                text=f"{row['elf']} の規則 {row['rule']} による {row['choice']} は {judged} 回中"
                f" {row['verified']} 回成功: 原因が分かるまで助言のみにしてください"
                if ja
                else f"{row['choice']} by rule {row['rule']} of {row['elf']} worked {row['verified']} times of"
                f" {judged}: let it advise until its cause is known",
                sql=_sql(
                    "SELECT time, target, outcome_detail FROM interventions WHERE kind = ?"
                    " AND outcome = 'failed' ORDER BY seq DESC",
                    row["rule"],
                ),
            )


def _trend(missed: dict[str, Any], performance: dict[str, Any], ja: bool) -> Iterator[Advice]:
    for row in performance["indicators"]:
        usual = row["weekday"]
        known = row["name"] == "response_s" and row["name"] not in missed and row["value"] and usual
        if known and row["value"] > _WORSE * usual:
            yield Advice(
                rule="slower",
                target="response_s",
                text=f"平均応答時間が先週同曜日の {row['value'] / usual:.1f} 倍"
                if ja
                else f"mean response is {row['value'] / usual:.1f} times that of the same day a week before",
                sql="SELECT day, value, n FROM kpi_daily WHERE name = 'response_s' ORDER BY day",
            )


def _kind(row: dict[str, Any]) -> str:
    return f"{row['queue']}/{row['type']}" if row["type"] else str(row["queue"])


def _sql(query: str, *values: object) -> str:
    """Put values into a query as text that people can paste."""
    first, *rest = query.split("?")
    quoted = ["'" + str(value).replace("'", "''") + "'" for value in values]
    return first + "".join(value + part for value, part in zip(quoted, rest, strict=True))
