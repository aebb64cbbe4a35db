-- The log and its readers. Times are TIMESTAMP in UTC. A view with `position` columns of its own calls the event's
-- place in the log `seq`.

-- What happened? One row an event, in log order. `body` is what was said, NULL where the bytes are no event;
-- `forest_time` is the running maximum of the times that the leading node wrote, the time that decisions use.
CREATE VIEW events AS
SELECT position AS seq, make_timestamp(time) AS time, type, source, entity, cause AS causation, correlation,
       TRY(json_extract(decode(data), '$.body')) AS body, id, subject, make_timestamp(forest) AS forest_time
FROM log;

-- Up to where does this file follow the log, and what is its running hash there? `forest_time` is "now" in every view
-- that speaks of ages: the time of the leading node's last event, and of the last event where no node has led yet.
CREATE VIEW log_end AS
SELECT position AS seq, head, count, make_timestamp(time) AS time,
       make_timestamp(CASE WHEN forest > 0 THEN forest ELSE time END) AS forest_time
FROM checkpoint;

-- Which settings came into force when, from where, and what did they change?
CREATE VIEW settings AS
SELECT position AS seq, make_timestamp(time) AS time, source, origin, digest, changed, settings::JSON AS settings
FROM adopted;

-- Which nodes led, in which epoch, and what were they? One row an epoch; the epoch is the position of its lease.
-- `until` is when the next one took over, NULL for the epoch in force.
CREATE VIEW nodes AS
WITH leases AS (
    SELECT position, time, node, previous, lead(position) OVER (ORDER BY position) AS next_position,
           lead(time) OVER (ORDER BY position) AS next_time
    FROM node_event WHERE what = 'lease'
),
-- A node says that it started before or after it takes the lease: the start within the epoch counts, else the last before.
starts AS (
    SELECT l.position AS epoch,
           coalesce(min(s.position) FILTER (s.position > l.position
                                            AND s.position < coalesce(l.next_position, 9223372036854775807)),
                    max(s.position) FILTER (s.position < l.position)) AS position
    FROM leases l JOIN node_event s ON s.what = 'started' AND s.node = l.node GROUP BY l.position
),
stops AS (
    SELECT l.position AS epoch, min(s.position) AS position
    FROM leases l JOIN node_event s ON s.what = 'stopped' AND s.node = l.node AND s.position > l.position
                                    AND s.position < coalesce(l.next_position, 9223372036854775807)
    GROUP BY l.position
)
SELECT l.position AS epoch, l.node, make_timestamp(l.time) AS taken, make_timestamp(l.next_time) AS until,
       l.previous, s.release, s.pure_zone, s.pid, s.boot, s.python, make_timestamp(s.time) AS started,
       make_timestamp(e.time) AS stopped, e.reason AS stop_reason
FROM leases l
LEFT JOIN starts ON starts.epoch = l.position LEFT JOIN node_event s ON s.position = starts.position
LEFT JOIN stops ON stops.epoch = l.position LEFT JOIN node_event e ON e.position = stops.position;

-- When did the wall clock jump, and by how much?
CREATE VIEW clock_steps AS
SELECT position AS seq, make_timestamp(time) AS time, step_ms FROM node_event WHERE what = 'clock';

-- Which parts of workers' logs were cut off? `start` and `stop` are offsets in the log, `bytes` is the size on disk.
CREATE VIEW log_rotations AS
SELECT position AS seq, make_timestamp(time) AS time, unit, segment, start, stop, size AS bytes FROM log_rotation;

-- When did the node decide nothing because its disk was full? It ends with room or with the next lease; NULL: not yet.
CREATE VIEW standbys AS
SELECT b.position AS seq, make_timestamp(b.time) AS began, make_timestamp(min(e.time)) AS ended, b.node, b.reason,
       b.free AS free_bytes
FROM standby b
LEFT JOIN (SELECT position, time FROM standby WHERE what = 'ended'
           UNION ALL SELECT position, time FROM node_event WHERE what = 'lease') e ON e.position > b.position
WHERE b.what = 'began' GROUP BY b.position, b.time, b.node, b.reason, b.free;

-- Which stored messages did a reader put aside, and why? `message` is the position of the message.
CREATE VIEW quarantine AS
SELECT position AS seq, make_timestamp(time) AS time, message, subject, reason, sample FROM quarantined;

-- Which positions stand in sealed files, and below which position has the stream been emptied? `bytes` is the file's
-- size; `bound` names what kept the stream from being emptied further.
CREATE VIEW archive AS
SELECT position AS seq, make_timestamp(time) AS time, what, first, last, below, head, sha256, size AS bytes, bound,
       messages
FROM history;

-- What stands in the log that this release cannot read: unknown types and bytes that are no event ('malformed')?
CREATE VIEW unknown_events AS
SELECT position AS seq, make_timestamp(time) AS time, type, source, subject, reason FROM unread;

-- With which state did each elf stand at which position? Replay compares the digests with its own.
CREATE VIEW checkpoints AS
SELECT position AS seq, make_timestamp(time) AS time, elf, as_of, digest FROM state_digest;

-- Which elf came back after a failure? It decided nothing on the events behind `after` up to `seq`.
CREATE VIEW elf_failures AS
SELECT position AS seq, make_timestamp(time) AS time, elf, after, error FROM resumption;
