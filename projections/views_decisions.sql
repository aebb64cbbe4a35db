-- Decisions, what came of them, alerts and mana.

-- Which decisions does a fold pass over, because a newer lease stood in the log before them? Expected: none.
CREATE VIEW stale_decisions AS
SELECT d.position AS seq, d.id, d.elf, d.epoch, l.position AS lease
FROM decision d ASOF JOIN (SELECT position FROM node_event WHERE what = 'lease') l ON d.position > l.position
WHERE d.epoch < l.position;

-- What did each executor say of each effect? `outcome` is the last word: verified, failed, or started and nothing yet.
CREATE VIEW effects AS
SELECT decision, any_value(target) AS target,
       CASE WHEN bool_or(what = 'verified') THEN 'verified' WHEN bool_or(what = 'failed') THEN 'failed'
            WHEN bool_or(what = 'started') THEN 'started' ELSE 'none' END AS outcome,
       make_timestamp(min(time) FILTER (what = 'started')) AS started,
       make_timestamp(max(time) FILTER (what IN ('verified', 'failed'))) AS ended,
       nullif(coalesce(nullif(max(error) FILTER (what = 'failed'), ''), max(detail) FILTER (what = 'verified')), '')
           AS outcome_detail,
       count(*) FILTER (what = 'step') AS steps, count(*) FILTER (what = 'step' AND NOT ok) AS bad_steps
FROM effect GROUP BY decision;

-- What was decided, by whom, why, and what came of it? `kind` is the elf's rule, `choice` what the action does.
-- `outcome`: verified, failed, started, none. `stale`: a fold passes it over, its epoch was gone.
CREATE VIEW decisions AS
SELECT d.position AS seq, make_timestamp(d.time) AS time, d.elf, d.rule AS kind, d.target, d.choice, d.reason, d.text,
       d.policy, d.version, d.as_of, d.trigger, d.epoch, d.mode, d.cost AS mana_cost,
       coalesce(e.outcome, 'none') AS outcome, e.outcome_detail, d.id, d.ordinal, d.size, d.probability, d.candidates,
       d.settings, d.inputs_digest, d.cause, d.severity, d.again, d.generation, make_timestamp(d.until) AS until,
       d.wanted, s.seq IS NOT NULL AS stale
FROM decision d LEFT JOIN effects e ON e.decision = d.id LEFT JOIN stale_decisions s ON s.seq = d.position;

-- Which steps did each playbook take, and did each pass its own check?
CREATE VIEW steps AS
SELECT position AS seq, make_timestamp(time) AS time, decision, target, step, ok, nullif(detail, '') AS detail, took_ms
FROM effect WHERE what = 'step';

-- Which alerts were raised, and when did they close? One row an alert: the first raise of a cause and target while
-- none is open opens it, later ones are counted, a clear closes it; `closed` is NULL while it is open. `verdict` is what
-- became of a forecast: right, wrong or averted (by an intervention); "right" is NULL until that is known, and for averted.
CREATE VIEW alerts AS
WITH said AS (
    SELECT seq, time, target, cause, severity, choice, text, id,
           count(*) FILTER (choice = 'clear_alert')
               OVER (PARTITION BY cause, target ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM decisions WHERE choice IN ('raise_alert', 'clear_alert') AND mode = 'act' AND NOT stale
),
verdicts AS (SELECT alert, arg_max(verdict, position) AS verdict FROM alert_score GROUP BY alert),
judged AS (SELECT s.*, v.verdict FROM said s LEFT JOIN verdicts v ON v.alert = s.id AND s.choice = 'raise_alert')
SELECT min(time) FILTER (choice = 'raise_alert') AS opened, min(time) FILTER (choice = 'clear_alert') AS closed,
       cause, target, CASE max(verdict) WHEN 'right' THEN true WHEN 'wrong' THEN false END AS "right",
       arg_max(severity, seq) FILTER (choice = 'raise_alert') AS severity,
       count(*) FILTER (choice = 'raise_alert') AS count,
       arg_min(text, seq) FILTER (choice = 'raise_alert') AS text,
       min(seq) FILTER (choice = 'raise_alert') AS seq, min(seq) FILTER (choice = 'clear_alert') AS closed_seq,
       arg_min(id, seq) FILTER (choice = 'raise_alert') AS decision, max(verdict) AS verdict
FROM judged GROUP BY cause, target, before HAVING bool_or(choice = 'raise_alert');

-- What became of every forecast of an overload? `missed` is an overload that none had foretold; it has no alert.
-- Target: right / (right + wrong) at least 80 %.
CREATE VIEW forecasts AS
SELECT position AS seq, make_timestamp(time) AS time, target, verdict, nullif(alert, '') AS alert, cause, day
FROM alert_score;

-- What did the elves do to the system, and did it work? Acts only: what is said, planned, given for the first time or
-- asked for an answer disturbs nothing; taking a task from an agent does.
-- `took_s` is from the decision to the last word of its effect. Target: verified at least 95 %.
CREATE VIEW interventions AS
SELECT d.seq, d.time, d.elf, d.kind, d.target, d.choice, d.reason, d.text, d.outcome, d.outcome_detail, d.mana_cost,
       CASE WHEN e.ended IS NOT NULL THEN greatest(epoch_us(e.ended) - epoch_us(d.time), 0) / 1e6 END AS took_s, e.steps, e.bad_steps, d.id AS decision
FROM decisions d LEFT JOIN effects e ON e.decision = d.id
WHERE d.mode = 'act' AND NOT d.stale AND NOT starts_with(d.choice, 'propose')
  AND d.choice NOT IN ('raise_alert', 'clear_alert', 'defer', 'mark_agent', 'ping_agent', 'score_alert', 'abstain', 'remind',
                       'prepare', 'run_job', 'escalate', 'notify')
  AND (d.choice <> 'assign_task' OR d.kind = 'reassign');

-- How much might each elf still disturb the system, when? A row after each change by a decision or its outcome, and once a
-- minute; between them the level rises by the elf's refill.
CREATE VIEW mana AS
SELECT make_timestamp(time) AS time, elf, level, position AS seq FROM mana_level;

-- What did each elf pay for what it did, and what came back (half, when the effect passed its check)?
CREATE VIEW mana_spent AS
SELECT time, elf, mana_cost AS cost, CASE WHEN outcome = 'verified' THEN mana_cost / 2 ELSE 0 END AS refunded, seq, kind, choice, target FROM decisions
WHERE mana_cost > 0 AND mode = 'act' AND NOT stale AND choice <> 'defer';

-- Which units may not start, until when? The last quarantine of each unit that has had one.
CREATE VIEW unit_quarantines AS
SELECT target AS unit, max(seq) AS seq, arg_max(time, seq) AS since, arg_max(until, seq) AS until,
       arg_max(reason, seq) AS reason, count(*) AS count
FROM decisions WHERE choice = 'quarantine_unit' AND mode = 'act' AND NOT stale GROUP BY target;
