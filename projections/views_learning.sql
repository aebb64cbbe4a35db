-- What the elves learn of their own rules.

-- How good is every rule? `uses` are acts whose check passed or failed, or forecasts that came true or not; `precision` is
-- `good` / `uses`. `minutes_saved` in the mean: how much shorter alerts were closed in which the rule acted on their target
-- than those of the same cause in which nobody acted; NULL without both. `averted` forecasts were relieved in time. `advise`:
-- less than half of at least 20 uses was good. Target: precision at least 70 %.
CREATE VIEW rules_learnt AS
WITH acts AS (
    SELECT elf, kind AS rule, count(*) AS acts, count(*) FILTER (outcome = 'verified') AS good,
           count(*) FILTER (outcome IN ('verified', 'failed')) AS uses, sum(mana_cost) AS mana_cost
    FROM interventions GROUP BY ALL
), closed AS (
    SELECT seq, cause, target, opened, closed, (epoch_us(closed) - epoch_us(opened)) / 6e7 AS minutes
    FROM alerts WHERE closed IS NOT NULL
), acted AS (
    SELECT DISTINCT c.seq, c.cause, c.minutes, i.elf, i.kind AS rule
    FROM closed c JOIN interventions i ON i.target = c.target AND i.time BETWEEN c.opened AND c.closed
), alone AS (
    SELECT cause, avg(minutes) AS minutes FROM closed WHERE seq NOT IN (SELECT seq FROM acted) GROUP BY cause
), saved AS (
    SELECT a.elf, a.rule, avg(n.minutes - a.minutes) AS minutes, count(*) AS alerts
    FROM acted a JOIN alone n USING (cause) GROUP BY ALL
), foretold AS (
    SELECT 'wisdom' AS elf, 'overload' AS rule, count(*) FILTER (verdict <> 'missed') AS acts,
           count(*) FILTER (verdict = 'right') AS good, count(*) FILTER (verdict IN ('right', 'wrong')) AS uses,
           count(*) FILTER (verdict = 'averted') AS averted, count(*) FILTER (verdict = 'missed') AS missed
    FROM forecasts HAVING count(*) > 0
)
SELECT r.elf, r.rule, r.acts, r.uses, r.good, CASE WHEN r.uses > 0 THEN r.good / r.uses END AS precision,
       s.minutes AS minutes_saved, s.alerts, r.averted, r.missed, r.mana_cost,
       r.uses >= 20 AND r.good < r.uses / 2 AS advise
FROM (SELECT elf, rule, acts, uses, good, NULL::BIGINT AS averted, NULL::BIGINT AS missed, mana_cost FROM acts
      UNION ALL SELECT elf, rule, acts, uses, good, averted, missed, NULL FROM foretold) r
LEFT JOIN saved s USING (elf, rule);

-- Which share of its acts was useful, by elf and day? `useful` is verified / executed. Target: at least 70 %; below that on
-- three days in a row the elf is to do less.
CREATE VIEW elf_days AS
SELECT i.elf, d.day, count(*) FILTER (i.outcome IN ('verified', 'failed')) AS executed,
       count(*) FILTER (i.outcome = 'verified') AS verified,
       count(*) FILTER (i.outcome = 'verified') / nullif(count(*) FILTER (i.outcome IN ('verified', 'failed')), 0) AS useful
FROM interventions i JOIN days d ON epoch_us(i.time) >= d.start AND epoch_us(i.time) < d.stop GROUP BY ALL;
