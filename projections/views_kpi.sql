-- Indicators and their targets.

-- Which indicators are there, in which unit, and which targets are in force ([kpi] in forest.toml, else these)?
CREATE VIEW kpi_targets AS
WITH known (place, name, unit, sense, usual) AS (
    VALUES (1, 'completion_rate', 'share', '>=', 0.95), (2, 'response_s', 's', '<=', 1800.0),
           (3, 'error_rate', 'share', '<', 0.02), (4, 'type_safety', 'share', '>=', 1.0),
           (5, 'load_spread', 'points', '<=', 20.0), (6, 'single_point_share', 'share', '<=', 0.5),
           (7, 'recovery_s', 's', '<=', 14400.0), (8, 'alert_precision', 'share', '>=', 0.8)
)
SELECT k.place, k.name, k.unit, k.sense,
       coalesce((SELECT settings->>('$.kpi.' || k.name) FROM adopted ORDER BY position DESC LIMIT 1)::DOUBLE, k.usual)::DOUBLE
           AS target
FROM known k;

-- What are the indicators that add up made of, day by day? `part` / `whole` is the indicator, `n` how many things it
-- rests on. completion_rate: tasks done / done or dead (withdrawn ones count for neither) · response_s: seconds from
-- submission to end / tasks done · error_rate: attempts failed or died / ended attempts · type_safety: good runs of jobs
-- of kind types / those that ran · recovery_s: seconds down / outages, those that last counted on the last day ·
-- alert_precision: right forecasts / right or wrong ones. Each counts on the day of the end.
CREATE VIEW kpi_parts AS
WITH ends AS MATERIALIZED (
    SELECT day, count(*) FILTER (final AND what = 'finished') AS done, count(*) FILTER (final AND what = 'died') AS dead,
           sum(greatest(time - submitted, 0)) FILTER (final AND what = 'finished') / 1e6 AS response_s,
           count(*) FILTER (effective AND what IN ('failed', 'died')) AS errors,
           count(*) FILTER (effective AND what IN ('finished', 'failed', 'died')) AS ended
    FROM task_end WHERE day IS NOT NULL GROUP BY day
)
SELECT day, 'completion_rate' AS name, done::DOUBLE AS part, (done + dead)::DOUBLE AS whole, done + dead AS n FROM ends
UNION ALL SELECT day, 'response_s', response_s, done, done FROM ends
UNION ALL SELECT day, 'error_rate', errors, ended, ended FROM ends
UNION ALL SELECT day, 'type_safety', count(*) FILTER (ok), count(*), count(*) FROM job_run
          WHERE kind = 'types' AND outcome NOT IN ('refused', 'interrupted') GROUP BY day
UNION ALL SELECT day, 'recovery_s', sum(took_s), count(*), count(*) FROM recoveries GROUP BY day
UNION ALL SELECT day, 'alert_precision', count(*) FILTER (verdict = 'right'), count(*), count(*) FROM alert_score
          WHERE verdict IN ('right', 'wrong') GROUP BY day;

-- How did every indicator do over the last 1, 7 and 30 days up to each day? `value` is NULL where there is no data.
-- load_spread: greatest less least `load` of `agent_days`, in points, among agents that were there at least half of the
-- time · single_point_share: the largest share of one agent in all agents' `work_s`. The others are those of `kpi_parts`.
CREATE VIEW kpi_rolling AS
WITH windows AS (SELECT day, unnest([1, 7, 30]) AS days, last - first AS length FROM days),
summed AS (
    SELECT w.day, w.days, p.name, sum(p.part) / nullif(sum(p.whole), 0) AS value, sum(p.n)::BIGINT AS n
    FROM windows w JOIN kpi_parts p ON p.day > w.day - w.days::INTEGER AND p.day <= w.day GROUP BY w.day, w.days, p.name
),
lengths AS (
    SELECT w.day, w.days, sum(x.length) / 1e6 AS length_s
    FROM windows w JOIN windows x ON x.days = 1 AND x.day > w.day - w.days::INTEGER AND x.day <= w.day
    GROUP BY w.day, w.days
),
by_agent AS (
    SELECT w.day, w.days, a.agent, 100.0 * sum(a.busy_s) / nullif(sum(a.slot_s), 0) AS load, sum(a.up_s) AS up_s,
           sum(a.work_s) AS work_s, sum(a.done) AS done
    FROM windows w JOIN agent_days a ON a.day > w.day - w.days::INTEGER AND a.day <= w.day GROUP BY w.day, w.days, a.agent
),
agents AS (
    SELECT b.day, b.days, 'load_spread' AS name, max(b.load) - min(b.load) AS value, count(*) AS n
    FROM by_agent b JOIN lengths l ON l.day = b.day AND l.days = b.days
    WHERE b.up_s >= l.length_s / 2 AND b.load IS NOT NULL GROUP BY b.day, b.days HAVING count(*) > 1
    UNION ALL
    SELECT day, days, 'single_point_share', max(work_s) / nullif(sum(work_s), 0), sum(done)::BIGINT
    FROM by_agent GROUP BY day, days
),
found AS (FROM summed UNION ALL FROM agents)
SELECT w.day, w.days, t.name, f.value, t.target,
       CASE t.sense WHEN '>=' THEN f.value >= t.target WHEN '<' THEN f.value < t.target ELSE f.value <= t.target END AS met,
       CASE WHEN f.value IS NULL THEN 0 ELSE f.n END AS n, t.unit, t.sense, t.place
FROM windows w CROSS JOIN kpi_targets t
LEFT JOIN found f ON f.day = w.day AND f.days = w.days AND f.name = t.name;

-- Which days were analysed when, which targets were missed, and what was recommended?
CREATE VIEW analyses AS
SELECT position AS seq, make_timestamp(time) AS time, TRY_CAST(day AS DATE) AS day, as_of, missed, recommendations, digest
FROM analysis;

-- How did every indicator do on each day, and is its target met? `n` is how many things it rests on, `value` and `met`
-- are NULL without any. Targets: completion_rate >= 0.95, response_s <= 1,800, error_rate < 0.02, type_safety >= 1,
-- load_spread <= 20 points, single_point_share <= 0.5, recovery_s <= 14,400, alert_precision >= 0.8.
CREATE VIEW kpi_daily AS
SELECT day, name, value, target, met, n, unit, sense, place FROM kpi_rolling WHERE days = 1;
