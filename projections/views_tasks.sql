-- Tasks and queues. A task is known by its id and its queue; one that was moved stays one task and follows to its new
-- queue (its `thread` is then '' instead of the queue). What was never submitted in this log is no task. Everything that
-- happens to a task belongs to a *turn*: each submission and each claim opens one, whose name is its position.
--
-- The first views filter nothing on purpose: with a WHERE, DuckDB takes their result for small, builds its hash tables
-- on it instead of on the narrow columns it is joined with, and 200,000 tasks no longer fit into 96 MB.

-- What was ever said of tasks, in one table? `what`: submitted, started, finished, failed, released, died, dropped,
-- cancelled, moved, salvaged; times in microseconds. The columns are those of `task_asked`, `task_claim` and `task_end`.
CREATE VIEW task_event AS
SELECT position, time, what, task, queue, unit, generation, pid, attempt, attempts, claim, kind, error, service_ms,
       retry_in_s, priority, complexity, timeout_s, parent, moved_to, reason, due, deaths, cleared, solo, trace
FROM (
    SELECT position, time, 'submitted' AS what, task, queue, kind, priority, complexity, timeout_s, parent, due, trace
    FROM task_asked
    UNION ALL BY NAME
    SELECT position, time, 'started' AS what, task, queue, unit, generation, pid, attempt, deaths, solo FROM task_claim
    UNION ALL BY NAME
    SELECT position, time, what, task, queue, unit, generation, attempt, attempts, claim, kind, error, service_ms,
           retry_in_s, moved_to, reason, deaths, cleared
    FROM task_end
);

-- Which turn does each task event belong to? `named` is the claim that an end names itself: it counts only in that turn.
-- A claim of a lease that its agent never had is 'foreign' and opens none.
CREATE VIEW task_history AS
WITH moves AS (SELECT DISTINCT task FROM task_end WHERE what = 'moved'),
said AS (
    SELECT position, 'submitted' AS what, task, queue, NULL::BIGINT AS claim FROM task_asked
    UNION ALL SELECT position, CASE WHEN legit THEN 'started' ELSE 'foreign' END, task, queue, NULL FROM task_claim
    UNION ALL SELECT position, what, task, queue, CASE WHEN fenced THEN NULL ELSE claim END FROM task_end
),
threads AS (
    SELECT e.position, e.what, e.task, e.queue, e.claim AS named,
           CASE WHEN m.task IS NULL THEN e.queue ELSE '' END AS thread
    FROM said e LEFT JOIN moves m ON m.task = e.task
)
SELECT task, thread, queue, position AS seq, what, named,
       max(CASE WHEN what IN ('submitted', 'started') THEN position END)
           OVER (PARTITION BY task, thread ORDER BY position ROWS UNBOUNDED PRECEDING) AS turn
FROM threads;

-- How did each turn go? The effective end of a claim is the first result that names it while it is the last claim; an
-- end that names another claim, or comes second, is passed over. Cancelling and dying close a turn that is not done;
-- what died may be dropped. A claim that was released counts for nothing: the task waits again.
CREATE VIEW task_turns AS
WITH turns AS (
    SELECT task, thread, turn,
           max(queue) FILTER (seq = turn) AS queue,
           bool_or(what = 'started' AND seq = turn) AS claimed,
           min(seq) FILTER (what IN ('finished', 'failed', 'released') AND named = turn) AS result_seq,
           arg_min(what, seq) FILTER (what IN ('finished', 'failed', 'released') AND named = turn) AS result,
           min(seq) FILTER (what IN ('died', 'cancelled')) AS close_seq,
           arg_min(what, seq) FILTER (what IN ('died', 'cancelled')) AS closing,
           bool_or(what = 'dropped') AS dropped
    FROM task_history GROUP BY task, thread, turn
),
ends AS (
    SELECT *, CASE WHEN close_seq IS NULL OR result_seq < close_seq THEN result END AS first_result FROM turns
)
SELECT task, thread, turn, queue, claimed,
       CASE WHEN first_result = 'finished' THEN 'done' WHEN closing = 'died' THEN CASE WHEN dropped THEN 'dropped' ELSE 'dead' END
            WHEN closing = 'cancelled' THEN 'cancelled' WHEN first_result = 'failed' THEN 'failed'
            WHEN first_result = 'released' OR NOT claimed THEN 'waiting' ELSE 'running' END AS state,
       CASE WHEN first_result = 'finished' THEN result_seq ELSE coalesce(close_seq, result_seq) END AS end_seq,
       CASE WHEN first_result = 'finished' THEN 'done' WHEN first_result IS NOT NULL THEN first_result
            WHEN closing = 'died' THEN 'dead' ELSE closing END AS outcome,
       least(result_seq, close_seq) AS outcome_seq
FROM ends;

-- Where does each task stand? One row a task: its last turn, how often it was claimed since it was last asked for, when
-- it was asked for. Its first result is its end for good: what comes behind that is a reuse of the id and changes nothing.
CREATE VIEW task_state AS
WITH ended AS (
    SELECT *, turn <= coalesce(min(end_seq) FILTER (state = 'done') OVER (PARTITION BY task, thread), turn) AS counts
    FROM task_turns
),
turns AS (
    SELECT *, CASE WHEN thread = '' THEN 0
                   ELSE max(turn) FILTER (counts AND NOT claimed) OVER (PARTITION BY task, thread) END AS asked
    FROM ended
)
SELECT task, thread, max(turn) FILTER (counts) AS turn, arg_max(queue, turn) FILTER (counts) AS queue,
       arg_max(state, turn) FILTER (counts) AS state, arg_max(end_seq, turn) FILTER (counts) AS end_seq,
       max(turn) FILTER (counts AND claimed AND turn > asked AND outcome IS DISTINCT FROM 'released') AS claim_seq,
       count(*) FILTER (counts AND claimed AND turn > asked AND outcome IS DISTINCT FROM 'released') AS attempts,
       count(*) FILTER (counts AND NOT claimed) AS submissions,
       -- A task that was moved waits since its first submission, one that was put back since its last.
       CASE WHEN thread = '' THEN min(turn) FILTER (counts AND NOT claimed)
            ELSE max(turn) FILTER (counts AND NOT claimed) END AS submit_seq
FROM turns GROUP BY task, thread;

-- What became of every task? `state`: waiting, delayed (not before `due`), assigned (given to an agent that has not
-- claimed it yet), running, done, failed (waits for its next attempt), dead, dropped (was dead), cancelled. `attempts`
-- since it was last submitted. `response_s` = submitted to end, `service_s` = the handler's own time in the last attempt,
-- `error` of the end in force. `worker` or `agent` is who claimed it last; while it is assigned, `agent` is who it is for.
-- `trace_id` is that of the W3C traceparent it came with.
CREATE VIEW tasks AS
WITH given AS (
    SELECT task, queue, max(position) AS position, arg_max(agent, position) AS agent, max(lease) AS lease,
           max(time) AS time
    FROM assignment WHERE legit GROUP BY task, queue
),
standing AS (
    SELECT t.*, g.agent AS given_to, g.lease, g.time AS assigned,
           t.state IN ('waiting', 'failed') AND g.position > greatest(t.turn, coalesce(t.end_seq, 0)) AS is_given
    FROM task_state t LEFT JOIN given g ON g.task = t.task AND g.queue = t.queue
)
SELECT t.task AS id, t.queue, s.kind AS type, s.priority, s.complexity,
       CASE WHEN t.is_given THEN 'assigned' WHEN t.state = 'waiting' AND s.due > epoch_us(n.forest_time) THEN 'delayed'
            ELSE t.state END AS state,
       CASE WHEN t.is_given THEN t.given_to WHEN c.agent THEN c.unit END AS agent,
       CASE WHEN NOT c.agent THEN c.unit END AS worker, t.attempts, make_timestamp(s.time) AS submitted,
       make_timestamp(c.time) AS started,
       CASE WHEN t.state IN ('done', 'dead', 'dropped', 'cancelled') THEN make_timestamp(e.time) END AS finished,
       CASE WHEN t.state IN ('done', 'dead', 'dropped', 'cancelled') THEN greatest(e.time - s.time, 0) / 1e6 END AS response_s,
       e.service_ms / 1e3 AS service_s, nullif(e.error, '') AS error,
       CASE WHEN t.state IN ('failed', 'dead', 'dropped') THEN e.kind END AS failure,
       nullif(s.timeout_s, 0) AS timeout_s, nullif(s.parent, '') AS parent, t.submissions,
       make_timestamp(nullif(s.due, 0)) AS due, t.submit_seq, t.claim_seq, t.end_seq, t.lease,
       make_timestamp(t.assigned) AS assigned, nullif(s.trace, '') AS trace_id
FROM standing t CROSS JOIN log_end n
JOIN task_asked s ON s.position = t.submit_seq
LEFT JOIN task_claim c ON c.position = t.claim_seq
LEFT JOIN task_end e ON e.position = t.end_seq;

-- What came of each attempt? One row a claim. `outcome`: done, failed, released (given back unseen: it does not count),
-- dead, cancelled, running, and lost where a later turn began without an end of this one (the process died with the
-- task). `seq` is the claim's position.
CREATE VIEW attempts AS
WITH claims AS (
    SELECT *, max(turn) OVER (PARTITION BY task, thread) AS last_turn FROM task_turns
)
SELECT t.task, t.queue, c.attempt, c.unit AS worker, c.generation, c.pid, t.turn AS seq,
       coalesce(t.outcome, CASE WHEN t.turn < t.last_turn THEN 'lost' ELSE 'running' END) AS outcome,
       make_timestamp(c.time) AS started, make_timestamp(e.time) AS ended, e.service_ms / 1e3 AS service_s,
       e.kind AS failure, nullif(e.error, '') AS error, e.retry_in_s, e.position AS end_seq,
       CASE WHEN c.agent THEN c.unit END AS agent, nullif(c.lease, 0) AS lease
FROM claims t
JOIN task_claim c ON c.position = t.turn
LEFT JOIN task_end e ON e.position = t.outcome_seq
WHERE t.claimed;

-- Which tasks have used up their attempts, and what is known of their last one? `elf dlq` lists, requeues and drops them.
-- `deaths` = attempts whose process died; `code`, `signal`, `memory_bytes` (peak) and `log_lines` are those of the last.
CREATE VIEW dead_letters AS
SELECT t.id, t.queue, t.type, t.worker, t.attempts, d.deaths, t.failure, t.error, t.submitted, t.finished AS died,
       v.body->>'$.evidence.unit' AS unit, (v.body->>'$.evidence.generation')::BIGINT AS generation,
       (v.body->>'$.evidence.code')::BIGINT AS code, (v.body->>'$.evidence.signal')::BIGINT AS signal,
       (v.body->>'$.evidence.memory')::BIGINT AS memory_bytes,
       from_json(v.body->'$.evidence.lines', '["VARCHAR"]') AS log_lines, t.end_seq AS seq
FROM tasks t JOIN task_end d ON d.position = t.end_seq JOIN events v ON v.seq = t.end_seq
WHERE t.state = 'dead';

-- Which attempts ended with the death of a process, and whose fault was it? `charged`: worker where the task survived
-- alone with a fresh one afterwards, task where it is a dead letter of it, NULL while nobody knows.
CREATE VIEW deaths AS
WITH ends AS (
    SELECT *, max(CASE WHEN cleared > 0 THEN position END)
                  OVER (PARTITION BY task, queue ORDER BY position DESC ROWS UNBOUNDED PRECEDING) AS cleared_seq,
           max(CASE WHEN what = 'died' AND kind = 'crash' THEN position END)
               OVER (PARTITION BY task, queue ORDER BY position DESC ROWS UNBOUNDED PRECEDING) AS died_seq
    FROM task_end WHERE what IN ('failed', 'died', 'finished')
)
SELECT position AS seq, make_timestamp(time) AS time, task, queue, unit AS worker, generation,
       CASE WHEN cleared_seq IS NOT NULL THEN 'worker' WHEN died_seq IS NOT NULL THEN 'task' END AS charged, error
FROM ends WHERE kind = 'crash' AND what IN ('failed', 'died');

-- Which results came after the effective end? They are kept and counted, never merged.
CREATE VIEW salvages AS
SELECT position AS seq, make_timestamp(time) AS time, task, queue, unit AS worker, generation, attempt, error
FROM task_end WHERE what = 'salvaged';

-- Which ends do not count, because they name a claim that was not the last, or came second? Fewer than 1 in 1,000 ends.
CREATE VIEW ignored_ends AS
SELECT e.position AS seq, make_timestamp(e.time) AS time, e.what, e.task, e.queue, e.unit AS worker, e.claim
FROM task_end e
WHERE e.what IN ('finished', 'failed', 'released')
  AND NOT EXISTS (SELECT 1 FROM task_turns t WHERE t.outcome_seq = e.position);

-- Which ids were used once more although their task was done? Submissions of known ids are refused; one that came while
-- no node led is executed again, what comes of it is in `attempts`, and the task keeps its first result (`end_seq`).
CREATE VIEW reused_ids AS
WITH first_ends AS (
    SELECT task, thread, min(end_seq) FILTER (state = 'done') AS end_seq FROM task_turns GROUP BY task, thread
)
SELECT t.turn AS seq, make_timestamp(s.time) AS time, t.task AS id, t.queue, f.end_seq
FROM task_turns t JOIN first_ends f ON f.task = t.task AND f.thread = t.thread JOIN task_event s ON s.position = t.turn
WHERE NOT t.claimed AND t.turn > f.end_seq;

-- What did each tick say of each queue's consumer? Ticks leave out queues that did not change: the last value holds.
CREATE VIEW queue_samples AS
SELECT position AS seq, make_timestamp(time) AS time, queue, pending, in_flight, pulls, redelivered, full_frame
FROM queue_sample;

-- Is work piling up? `pending` = waiting or between attempts, `delayed` = not yet due, `in_flight` = claimed, both by the tasks themselves;
-- `consumer_*` is what the broker said last. `oldest_age_s` is the age of the oldest pending task at the log's end (0 without),
-- the rates are over the last five minutes before it. Target: pending < 100, oldest_age_s < 300.
CREATE VIEW queues AS
WITH now AS (SELECT epoch_us(forest_time) AS t FROM log_end),
named AS (
    SELECT unnest(from_json(json_extract(settings, '$.queues[*].name')::JSON, '["VARCHAR"]')) AS name
    FROM (SELECT settings FROM adopted ORDER BY position DESC LIMIT 1)
    UNION SELECT queue FROM queue_sample UNION SELECT queue FROM task_asked UNION SELECT queue FROM task_claim
    UNION SELECT queue FROM task_end
),
standing AS (
    SELECT t.queue, count(*) FILTER (t.state IN ('waiting', 'failed') AND NOT late) AS pending,
           count(*) FILTER (late) AS delayed,
           count(*) FILTER (t.state = 'running') AS in_flight, count(*) FILTER (t.state = 'dead') AS dead,
           min(greatest(t.time, t.due)) FILTER (t.state IN ('waiting', 'failed') AND NOT late) AS oldest
    FROM (SELECT k.queue, k.state, s.time, s.due, k.state = 'waiting' AND s.due > now.t AS late
          FROM task_state k JOIN task_asked s ON s.position = k.submit_seq CROSS JOIN now) t GROUP BY t.queue
),
recent AS (
    SELECT queue, count(*) FILTER (what = 'submitted') / 5.0 AS arrival_per_min,
           count(*) FILTER (what = 'finished') / 5.0 AS done_per_min
    FROM task_event, now WHERE time > t - 300000000 AND time <= t GROUP BY queue
),
sampled AS (
    SELECT queue, max(time) AS sampled, arg_max(pending, position) AS pending, arg_max(in_flight, position) AS in_flight,
           arg_max(pulls, position) AS pulls, arg_max(redelivered, position) AS redelivered
    FROM queue_sample GROUP BY queue
)
SELECT n.name, coalesce(s.pending, 0) AS pending, coalesce(s.in_flight, 0) AS in_flight,
       greatest(now.t - s.oldest, 0) / 1e6 AS oldest_age_s, coalesce(r.arrival_per_min, 0) AS arrival_per_min,
       coalesce(r.done_per_min, 0) AS done_per_min, coalesce(s.dead, 0) AS dead, coalesce(s.delayed, 0) AS delayed,
       q.pending AS consumer_pending, q.in_flight AS consumer_in_flight, q.pulls, q.redelivered,
       make_timestamp(q.sampled) AS sampled
FROM named n CROSS JOIN now
LEFT JOIN standing s ON s.queue = n.name LEFT JOIN recent r ON r.queue = n.name LEFT JOIN sampled q ON q.queue = n.name
WHERE n.name IS NOT NULL;
