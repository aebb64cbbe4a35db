-- Processes: generations, samples, workers.

-- What did people say a worker shall do?
CREATE VIEW intents AS
SELECT position AS seq, make_timestamp(time) AS time, source, target, intent, restart, nullif(reason, '') AS reason
FROM intent;

-- What did each tick say of each process tree? Ticks leave out units that did not change: the last value holds.
-- `cpu_percent` is of one core, `status` the kernel's letter of the main process.
CREATE VIEW samples AS
SELECT position AS seq, make_timestamp(time) AS time, unit, generation, status, cpu / 10.0 AS cpu_percent,
       memory AS memory_bytes, threads, processes, in_flight,
       CASE WHEN beat_age_ms >= 0 THEN beat_age_ms / 1e3 END AS beat_age_s, full_frame, fds
FROM unit_sample;

-- Which processes did each unit ever have, and how did each end? One row a process. `code` and `signal` are both NULL
-- while it lives, and where nobody could learn how it ended. A generation that was ordered and never started has no pid.
CREATE VIEW generations AS
SELECT unit, max(pool) AS pool, generation, pid, make_timestamp(min(time) FILTER (what = 'ordered')) AS ordered,
       make_timestamp(min(time) FILTER (what = 'started')) AS started,
       make_timestamp(min(time) FILTER (what = 'ready')) AS ready,
       make_timestamp(min(died) FILTER (what = 'exited')) AS ended,
       max(code) AS code, max(signal) AS signal, nullif(max(error), '') AS error,
       coalesce(bool_or(adopted), false) AS adopted, max(decision) AS decision,
       CASE WHEN bool_or(what = 'exited') THEN 'exited' WHEN bool_or(what = 'ready') THEN 'ready'
            WHEN bool_or(what = 'started') THEN 'started' ELSE 'ordered' END AS state,
       max(position) AS seq
FROM (
    -- The order knows no pid: it belongs to the process that came of it.
    SELECT e.* REPLACE (CASE WHEN e.what = 'ordered' THEN p.pid ELSE e.pid END AS pid)
    FROM unit_event e
    LEFT JOIN (SELECT unit, generation, arg_min(pid, position) AS pid FROM unit_event WHERE what = 'started'
               GROUP BY unit, generation) p ON p.unit = e.unit AND p.generation = e.generation
    WHERE e.what <> 'orphan'
)
GROUP BY unit, generation, pid;

-- Which processes that had lost their parent ended?
CREATE VIEW orphans AS
SELECT position AS seq, make_timestamp(time) AS time, pid, code, signal FROM unit_event WHERE what = 'orphan';

-- Which units do the settings in force name, in which pool, on which queue, with which memory limit?
CREATE VIEW units AS
SELECT unnest(from_json(json_extract(pool, '$.units'), '["VARCHAR"]')) AS unit,
       json_extract_string(pool, '$.name') AS pool, nullif(json_extract_string(pool, '$.queue'), '') AS queue,
       nullif(json_extract(pool, '$.memory_limit')::BIGINT, 0) AS memory_limit_bytes
FROM (SELECT unnest(from_json(json_extract(settings, '$.workers'), '["JSON"]')) AS pool
      FROM (SELECT settings FROM adopted ORDER BY position DESC LIMIT 1));

-- How is every worker? One row a unit, those of the settings in force and those that ever ran.
-- `state`: running, starting, stopping, restarting, paused (SIGSTOP as intended), suspended (SIGSTOP by somebody),
-- quiet (takes no new work), stopped, quarantined (not before `until`), backoff (ended and to be started again).
-- `pid` is NULL where no process lives. `tasks_processed` = effective results, `errors` = failed and last attempts,
-- `restarts` = generations after the first. Target: errors / (tasks_processed + errors) < 5 %.
CREATE VIEW workers AS
WITH now AS (SELECT forest_time AS t FROM log_end),
everyone AS (SELECT unit FROM units UNION SELECT unit FROM generations),
latest AS (
    SELECT unit, arg_max(g, seq) AS g, count(DISTINCT generation) AS lives FROM generations g GROUP BY unit
),
sampled AS (SELECT unit, arg_max(s, position) AS s FROM unit_sample s GROUP BY unit),
known AS (
    SELECT e.unit, coalesce(u.pool, l.g.pool) AS pool, u.queue, u.memory_limit_bytes, u.unit IS NOT NULL AS configured,
           l.g AS g, coalesce(l.g.state IN ('started', 'ready'), false) AS alive, coalesce(l.lives, 0) AS lives,
           CASE WHEN s.s.generation = l.g.generation AND l.g.state IN ('started', 'ready') THEN s.s END AS s
    FROM everyone e
    LEFT JOIN units u ON u.unit = e.unit LEFT JOIN latest l ON l.unit = e.unit LEFT JOIN sampled s ON s.unit = e.unit
),
wanted AS (
    SELECT k.unit, arg_max(i.intent, i.position) AS intent,
           max(i.position) FILTER (i.restart OR i.intent = 'run') AS rearmed
    FROM known k JOIN intent i ON i.target IN (k.unit, k.pool) GROUP BY k.unit
),
busy AS (
    SELECT target AS unit, arg_max(choice, seq) AS choice FROM decisions
    WHERE choice IN ('start_unit', 'stop_unit', 'restart_unit', 'continue_unit') AND mode = 'act' AND NOT stale
      AND outcome IN ('none', 'started') GROUP BY target
),
work AS (
    SELECT worker, count(*) FILTER (outcome = 'done') AS done, count(*) FILTER (outcome IN ('failed', 'dead')) AS errors,
           count(*) FILTER (outcome = 'done' AND ended > now.t - INTERVAL 1 HOUR) AS last_hour
    FROM attempts, now GROUP BY worker
)
SELECT k.unit AS name, k.pool, CASE WHEN k.alive THEN k.g.pid END AS pid, k.g.generation AS generation,
       CASE WHEN k.alive AND b.choice = 'stop_unit' THEN 'stopping'
            WHEN k.alive AND b.choice = 'restart_unit' THEN 'restarting'
            WHEN k.alive AND k.s.status IN ('T', 't') THEN CASE WHEN w.intent = 'pause' THEN 'paused' ELSE 'suspended' END
            WHEN k.alive AND w.intent IN ('quiet', 'pause') THEN 'quiet'
            WHEN k.alive THEN CASE WHEN k.g.state = 'ready' OR k.queue IS NULL THEN 'running' ELSE 'starting' END
            WHEN b.unit IS NOT NULL OR k.g.state = 'ordered' THEN 'starting'
            WHEN w.intent = 'stop' OR NOT k.configured THEN 'stopped'
            WHEN q.until > now.t AND q.seq > coalesce(w.rearmed, 0) THEN 'quarantined'
            WHEN k.g.state = 'exited' AND n.last NOT IN ('stopping', 'stopped') THEN 'backoff' ELSE 'stopped' END AS state,
       k.s.cpu / 10.0 AS cpu_percent, k.s.memory AS memory_bytes, k.memory_limit_bytes,
       coalesce(j.done, 0) AS tasks_processed, coalesce(j.errors, 0) AS errors, coalesce(j.last_hour, 0) AS tasks_per_hour,
       CASE WHEN k.alive THEN greatest(epoch_us(now.t) - epoch_us(k.g.started), 0) / 1e6 END AS uptime_s,
       greatest(k.lives - 1, 0) AS restarts, k.queue, coalesce(w.intent, 'run') AS intent, k.s.in_flight AS in_flight,
       k.g.code AS code, k.g.signal AS signal, k.g.error AS error,
       CASE WHEN q.until > now.t AND q.seq > coalesce(w.rearmed, 0) THEN q.until END AS until
FROM known k CROSS JOIN now
CROSS JOIN (SELECT arg_max(what, position) FILTER (what <> 'clock') AS last FROM node_event) n
LEFT JOIN wanted w ON w.unit = k.unit LEFT JOIN busy b ON b.unit = k.unit LEFT JOIN work j ON j.worker = k.unit
LEFT JOIN unit_quarantines q ON q.unit = k.unit;
