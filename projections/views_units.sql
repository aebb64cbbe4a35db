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
       CASE WHEN beat_age_ms >= 0 THEN beat_age_ms / 1e3 END AS beat_age_s, full_frame
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
-- `state`: running, starting (ordered), paused (SIGSTOP seen or intended), quiet, stopped (a person wants so),
-- quarantined (may not start before `until`), backoff (ended and to be started again), exited (ended, no longer in the
-- settings), waiting (never started). `tasks_processed` = effective results, `errors` = failed and last attempts,
-- `restarts` = generations after the first. Target: errors / (tasks_processed + errors) < 5 %.
CREATE VIEW workers AS
WITH now AS (SELECT forest_time AS t FROM log_end),
everyone AS (SELECT unit FROM units UNION SELECT unit FROM generations),
latest AS (
    SELECT unit, arg_max(generations, seq) AS g, count(DISTINCT generation) FILTER (pid IS NOT NULL) AS lives
    FROM generations GROUP BY unit
),
sampled AS (
    SELECT unit, arg_max(unit_sample, position) AS s FROM unit_sample GROUP BY unit
),
wanted AS (
    SELECT e.unit, arg_max(i.intent, i.position) AS intent
    FROM everyone e
    LEFT JOIN units u ON u.unit = e.unit LEFT JOIN latest l ON l.unit = e.unit
    JOIN intent i ON i.target IN (e.unit, coalesce(u.pool, l.g.pool)) GROUP BY e.unit
),
work AS (
    SELECT worker, count(*) FILTER (outcome = 'done') AS done, count(*) FILTER (outcome IN ('failed', 'dead')) AS errors,
           count(*) FILTER (outcome = 'done' AND ended > now.t - INTERVAL 1 HOUR) AS last_hour
    FROM attempts, now GROUP BY worker
)
SELECT e.unit AS name, coalesce(u.pool, l.g.pool) AS pool, l.g.pid AS pid, l.g.generation AS generation,
       CASE WHEN l.g.state IN ('started', 'ready') THEN
                CASE WHEN w.intent = 'pause' OR (s.s.generation = l.g.generation AND s.s.status = 'T') THEN 'paused'
                     WHEN w.intent = 'quiet' THEN 'quiet' ELSE 'running' END
            WHEN w.intent = 'stop' THEN 'stopped'
            WHEN q.until > now.t AND q.seq > coalesce(l.g.seq, 0) THEN 'quarantined'
            WHEN l.g.state = 'ordered' THEN 'starting'
            WHEN l.g.state IS NULL THEN 'waiting'
            WHEN u.unit IS NULL THEN 'exited'
            ELSE 'backoff' END AS state,
       CASE WHEN s.s.generation = l.g.generation AND l.g.state IN ('started', 'ready') THEN s.s.cpu / 10.0 END AS cpu_percent,
       CASE WHEN s.s.generation = l.g.generation AND l.g.state IN ('started', 'ready') THEN s.s.memory END AS memory_bytes,
       u.memory_limit_bytes, coalesce(k.done, 0) AS tasks_processed, coalesce(k.errors, 0) AS errors,
       coalesce(k.last_hour, 0) AS tasks_per_hour,
       CASE WHEN l.g.state IN ('started', 'ready')
            THEN greatest(epoch_us(now.t) - epoch_us(l.g.started), 0) / 1e6 END AS uptime_s,
       greatest(coalesce(l.lives, 0) - 1, 0) AS restarts, u.queue, w.intent,
       CASE WHEN s.s.generation = l.g.generation AND l.g.state IN ('started', 'ready') THEN s.s.in_flight END AS in_flight,
       l.g.code AS code, l.g.signal AS signal, CASE WHEN q.until > now.t THEN q.until END AS until
FROM everyone e CROSS JOIN now
LEFT JOIN units u ON u.unit = e.unit LEFT JOIN latest l ON l.unit = e.unit LEFT JOIN sampled s ON s.unit = e.unit
LEFT JOIN wanted w ON w.unit = e.unit LEFT JOIN work k ON k.worker = e.unit
LEFT JOIN unit_quarantines q ON q.unit = e.unit;
