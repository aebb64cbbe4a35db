-- Remote agents: who they are, what they were given, how loaded everybody is.

-- How does every agent stand? One row an agent, those of the settings in force and those that ever were.
-- `load_score` = 10 x current_tasks + 50 x (1 - completion_rate) + 5 x min(response_time_s / 60, 10) + 100 x error_rate,
-- `capacity` = max(0, 100 - load_score). Rates are over its ends, forgotten with a half-life of a day (0 without any);
-- response = given to end. `slots` is how many tasks it may hold at most, `wip` how many now. Target: load_score < 80.
CREATE VIEW agents AS
WITH configured AS (
    SELECT unnest(from_json(json_extract(settings, '$.agents[*].name')::JSON, '["VARCHAR"]')) AS name
    FROM (SELECT settings FROM adopted ORDER BY position DESC LIMIT 1)
),
named AS (
    SELECT name FROM configured WHERE name IS NOT NULL UNION SELECT agent FROM agent_state
),
stands AS (SELECT agent, arg_max(s, position) AS s FROM agent_state s GROUP BY agent),
seen AS (
    SELECT agent, max(time - greatest(beat_age_ms, 0) * 1000) FILTER (beat_age_ms >= 0) AS last_seen,
           arg_max(connected, position) AS connected
    FROM agent_sample GROUP BY agent
),
joins AS (SELECT agent, arg_max(j, position) AS j FROM agent_event j WHERE what = 'joined' GROUP BY agent),
held AS (
    SELECT CASE WHEN (state->>'$.agent')::BOOLEAN AND coalesce((state->>'$.claim')::BIGINT, 0) > 0
                     AND NOT coalesce((state->>'$.over')::BOOLEAN, false)
                     AND coalesce((state->>'$.claimed')::BIGINT, 0) >= coalesce((state->>'$.assigned')::BIGINT, 0)
                THEN state->>'$.unit' ELSE state->>'$.leases[#-1]' END AS agent
    FROM fact WHERE name LIKE 'task/%' AND json_array_length(state, '$.leases') > 0
      AND NOT (coalesce((state->>'$.over')::BOOLEAN, false)
               AND coalesce((state->>'$.claimed')::BIGINT, 0) >= coalesce((state->>'$.assigned')::BIGINT, 0))
),
holds AS (SELECT agent, count(*) AS n FROM held GROUP BY agent),
rates AS (
    SELECT substr(name, 7) AS agent, coalesce((state->>'$.done')::DOUBLE, 0) AS done,
           coalesce((state->>'$.failed')::DOUBLE, 0) AS failed, coalesce((state->>'$.response')::DOUBLE, 0) AS response
    FROM fact WHERE name LIKE 'rates/%'
),
counts AS (
    SELECT unit AS agent, count(*) FILTER (what = 'finished') AS done,
           count(*) FILTER (what IN ('failed', 'died')) AS failed
    FROM task_end WHERE effective AND agent GROUP BY unit
),
known AS (
    SELECT n.name, coalesce(h.n, 0) AS current_tasks, coalesce(r.done / nullif(r.done + r.failed, 0), 0) AS completion_rate,
           coalesce(r.response / nullif(r.done + r.failed, 0), 0) AS response_time_s,
           coalesce(r.failed / nullif(r.done + r.failed, 0), 0) AS error_rate
    FROM named n LEFT JOIN holds h ON h.agent = n.name LEFT JOIN rates r ON r.agent = n.name
),
scored AS (
    SELECT *, 10.0 * current_tasks + 50 * (1 - completion_rate) + 5 * least(response_time_s / 60, 10)
              + 100 * error_rate AS load_score
    FROM known
)
SELECT k.name, coalesce(s.s.state, 'absent') AS state, k.load_score, greatest(0.0, 100 - k.load_score) AS capacity,
       s.s.phase AS phase, s.s.intent AS intent, k.current_tasks, s.s.slots AS slots, s.s.wip AS wip,
       coalesce(s.s.up, false) AS up, k.completion_rate, k.response_time_s, k.error_rate,
       make_timestamp(greatest(e.last_seen, j.j.time)) AS last_seen, e.connected, coalesce(c.done, 0) AS tasks_processed,
       coalesce(c.failed, 0) AS errors, make_timestamp(j.j.time) AS joined, j.j.host AS host, j.j.release AS release,
       make_timestamp(s.s.time) AS since
FROM scored k LEFT JOIN stands s ON s.agent = k.name LEFT JOIN seen e ON e.agent = k.name
LEFT JOIN joins j ON j.agent = k.name LEFT JOIN counts c ON c.agent = k.name;

-- Which task was given to whom, was it claimed, how did it end? One row an assignment. `outcome`: done, failed, released,
-- dead or cancelled by its own claim; lost where another agent got the task before; running; waiting for its claim.
CREATE VIEW assignments AS
WITH given AS (
    SELECT *, lead(position) OVER (PARTITION BY task, queue ORDER BY position) AS next FROM assignment WHERE legit
)
SELECT g.position AS seq, make_timestamp(g.time) AS time, g.task, g.queue, g.agent, g.lease, g.attempt,
       nullif(g.previous, '') AS previous, g.reason, make_timestamp(c.time) AS claimed, make_timestamp(e.time) AS ended,
       CASE WHEN e.what = 'finished' THEN 'done' WHEN e.what IS NOT NULL THEN e.what
            WHEN x.what = 'died' AND x.time >= g.time THEN 'dead' WHEN x.what = 'cancelled' AND x.time >= g.time THEN x.what
            WHEN g.next IS NOT NULL THEN 'lost' WHEN c.position IS NOT NULL THEN 'running' ELSE 'waiting' END AS outcome,
       greatest(c.time - g.time, 0) / 1e6 AS claim_s, greatest(e.time - g.time, 0) / 1e6 AS response_s,
       nullif(e.error, '') AS error, c.position AS claim_seq, e.position AS end_seq
FROM given g
LEFT JOIN task_claim c ON c.task = g.task AND c.queue = g.queue AND c.lease = g.lease AND c.unit = g.agent AND c.agent
                      AND c.legit AND c.position > g.position
LEFT JOIN task_end e ON e.claim = c.position AND e.effective
LEFT JOIN task_end x ON x.task = g.task AND x.queue = g.queue AND x.final AND x.what IN ('died', 'cancelled')
                    AND g.next IS NULL;

-- What did people and the care of agents say of each agent, in order? `state` is how it stood from then on.
CREATE VIEW agent_states AS
SELECT position AS seq, make_timestamp(time) AS time, agent, state, phase, intent, slots, wip, up FROM agent_state;

-- How loaded was everybody when? One row for each unit and agent of each tick that named it; a tick leaves out what did
-- not change: the last row at or before a moment holds. `score` and `capacity` by the formula of `agents`, over the tasks
-- in hand at that tick. Target: score < 80.
CREATE VIEW load_state AS
WITH seen AS (
    SELECT position, time, agent AS unit, 'agent' AS role, holds AS tasks, completion_rate, response_s, error_rate
    FROM agent_sample
    UNION ALL
    SELECT position, time, unit, 'worker', in_flight, completion_rate, response_s, error_rate FROM unit_sample
),
scored AS (
    SELECT *, 10.0 * tasks + 50 * (1 - completion_rate) + 5 * least(response_s / 60, 10) + 100 * error_rate AS score
    FROM seen
)
SELECT make_timestamp(time) AS time, unit, score, greatest(0.0, 100 - score) AS capacity, role, tasks, completion_rate,
       response_s, error_rate, position AS seq
FROM scored;

-- Who did how much of what in each hour? `busy_s` is from claim to end, `response_s` the mean from submission to end of
-- what was done. An attempt counts in the hour of its end.
CREATE VIEW load_hours AS
SELECT time_bucket(INTERVAL 1 HOUR, make_timestamp(time)) AS hour, CASE WHEN agent THEN 'agent' ELSE 'worker' END AS role, unit, queue,
       type, count(*) FILTER (what = 'finished') AS done, count(*) FILTER (what IN ('failed', 'died')) AS failed,
       sum(greatest(time - claimed, 0)) / 1e6 AS busy_s,
       avg(greatest(time - submitted, 0)) FILTER (what = 'finished') / 1e6 AS response_s
FROM task_end WHERE effective AND what IN ('finished', 'failed', 'died') GROUP BY ALL;

-- From where to where does each day of the log reach? Days begin at midnight in the zone of the settings in force;
-- `first` and `last` leave out what lies before the log's first and behind its last event.
CREATE VIEW days AS
WITH zone AS (
    SELECT coalesce(max(name), 'UTC') AS z FROM pg_timezone_names()
    WHERE name = (SELECT settings->>'$.timezone' FROM adopted ORDER BY position DESC LIMIT 1)
),
span AS (
    -- The log's first events tell its beginning; to look at all of them for the least time would take longer.
    SELECT coalesce((SELECT min(time) FROM log WHERE position <= 100 AND time > 0), hi) AS lo, hi
    FROM (SELECT CASE WHEN forest > 0 THEN forest ELSE time END AS hi FROM checkpoint WHERE position > 0)
),
local AS (
    SELECT z, lo, hi,
           unnest(generate_series((make_timestamp(lo) AT TIME ZONE 'UTC' AT TIME ZONE z)::DATE::TIMESTAMP,
                                  (make_timestamp(hi) AT TIME ZONE 'UTC' AT TIME ZONE z)::DATE::TIMESTAMP,
                                  INTERVAL 1 DAY)) AS midnight
    FROM span, zone
),
bounded AS (
    SELECT midnight::DATE AS day, epoch_us(midnight AT TIME ZONE z) AS start,
           epoch_us((midnight + INTERVAL 1 DAY) AT TIME ZONE z) AS stop, lo, hi
    FROM local
)
SELECT day, start, stop, greatest(start, lo) AS first, least(stop, hi) AS last FROM bounded;

-- How much of each day was each agent there, and how much of that was it busy? `busy_s` is the time between claim and end
-- of its own claims and of those it runs now, `up_s` the time it was there, wanted and not found down, `load` =
-- 100 x busy / (up x slots) in points, `work_s` the time of what it got done, counted on the day of its end.
CREATE VIEW agent_days AS
WITH starts AS MATERIALIZED (SELECT day, start FROM days),
-- Few ends have begun on an earlier day: what they were busy there is taken off their own day and put where it was.
late AS (
    SELECT e.day, e.unit AS agent, e.claimed AS began, d.start AS ended
    FROM task_end e JOIN starts d ON d.day = e.day WHERE e.effective AND e.agent AND e.claimed < d.start
),
running AS (
    SELECT state->>'$.unit' AS agent, (state->>'$.claimed')::BIGINT AS began, (SELECT max(last) FROM days) AS ended
    FROM fact
    WHERE name LIKE 'task/%' AND (state->>'$.agent')::BOOLEAN AND coalesce((state->>'$.claim')::BIGINT, 0) > 0
      AND NOT coalesce((state->>'$.over')::BOOLEAN, false)
),
busy AS (
    SELECT day, unit AS agent, sum(greatest(time - claimed, 0)) AS busy,
           sum(greatest(time - claimed, 0)) FILTER (what = 'finished') AS work, count(*) FILTER (what = 'finished') AS done
    FROM task_end WHERE effective AND agent GROUP BY day, unit
    UNION ALL
    SELECT day, agent, -sum(ended - began), 0, 0 FROM late GROUP BY day, agent
    UNION ALL
    SELECT d.day, i.agent, sum(least(i.ended, d.stop) - greatest(i.began, d.start)), 0, 0
    FROM (SELECT agent, began, ended FROM late UNION ALL FROM running) i
    JOIN days d ON d.start < i.ended AND d.stop > i.began GROUP BY d.day, i.agent
),
intervals AS (
    SELECT agent, time AS began, slots, up,
           coalesce(lead(time) OVER (PARTITION BY agent ORDER BY position), (SELECT max(last) FROM days)) AS ended
    FROM agent_state
),
there AS (
    SELECT d.day, i.agent, sum(least(i.ended, d.stop) - greatest(i.began, d.start)) AS up,
           sum((least(i.ended, d.stop) - greatest(i.began, d.start)) * i.slots) AS slots
    FROM intervals i JOIN days d ON d.start < i.ended AND d.stop > i.began WHERE i.up GROUP BY d.day, i.agent
),
work AS (SELECT day, agent, sum(busy) AS busy, sum(work) AS work, sum(done) AS done FROM busy GROUP BY day, agent)
SELECT coalesce(t.day, w.day) AS day, coalesce(t.agent, w.agent) AS agent, coalesce(w.busy, 0) / 1e6 AS busy_s,
       coalesce(t.up, 0) / 1e6 AS up_s, coalesce(t.slots, 0) / 1e6 AS slot_s,
       100.0 * coalesce(w.busy, 0) / nullif(t.slots, 0) AS load, coalesce(w.done, 0)::BIGINT AS done,
       coalesce(w.work, 0) / 1e6 AS work_s
FROM there t FULL JOIN work w ON w.day = t.day AND w.agent = t.agent;

-- How long did each outage of an agent last? From when it was found down to the first task that it did rightly, its
-- canary's or any; `recovered` is NULL while it lasts, `took_s` then its age at the log's end. Target: 4 hours.
CREATE VIEW recoveries AS
SELECT agent, make_timestamp(down) AS down, make_timestamp(time) AS recovered, greatest(time - down, 0) / 1e6 AS took_s,
       down_position AS seq, position AS recovered_seq, day
FROM recovery
UNION ALL
SELECT o.key, make_timestamp((o.value->>'$.time')::BIGINT), NULL,
       greatest(d.last - (o.value->>'$.time')::BIGINT, 0) / 1e6, (o.value->>'$.position')::BIGINT, NULL, d.day
FROM (SELECT max(day) AS day, max(last) AS last FROM days) d, fact f, json_each(f.state) o WHERE f.name = 'downs';

-- What came of commands that run by the clock?
CREATE VIEW job_runs AS
SELECT position AS seq, make_timestamp(time) AS time, job, kind, ok, outcome, code, signal, took_ms / 1e3 AS took_s,
       nullif(tail, '') AS tail, decision, day
FROM job_run;
