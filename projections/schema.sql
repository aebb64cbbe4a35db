-- The warehouse's tables. Rows are only ever appended, by the projector, in log order; `position` is the place in the
-- log of the event that a row comes from. Times are microseconds since 1970 (UTC). People read the views.

-- Every event: its exact bytes, from which everything else here can be made again, and its envelope.
-- `forest` is the running maximum of the times that the lease holder wrote. `type` is 'malformed' where the bytes are no event.
CREATE TABLE log (
    position BIGINT NOT NULL, subject VARCHAR NOT NULL, data BLOB NOT NULL, id VARCHAR, time BIGINT, forest BIGINT,
    type VARCHAR, source VARCHAR, entity VARCHAR, cause VARCHAR, correlation VARCHAR
);

-- One row: up to where the tables follow the log, and the running hash there.
CREATE TABLE checkpoint (
    position BIGINT, head VARCHAR, count BIGINT, time BIGINT, forest BIGINT, holder VARCHAR
);

-- The life of tasks. `what`: submitted, started, finished, failed, released, died, dropped, cancelled,
-- moved, salvaged. `due` is 0 for a task that may start at once.
CREATE TABLE task_event (
    position BIGINT, time BIGINT, what VARCHAR, task VARCHAR, queue VARCHAR, unit VARCHAR, generation BIGINT, pid BIGINT,
    attempt BIGINT, attempts BIGINT, claim BIGINT, kind VARCHAR, error VARCHAR, service_ms BIGINT, retry_in_s DOUBLE,
    priority VARCHAR, complexity BIGINT, timeout_s DOUBLE, parent VARCHAR, moved_to VARCHAR, reason VARCHAR,
    due BIGINT, deaths BIGINT, cleared BIGINT, solo BOOLEAN
);

-- The life of processes. `what`: ordered, started, ready, exited, orphan. `died` is when the process ended, 0 unknown.
CREATE TABLE unit_event (
    position BIGINT, time BIGINT, what VARCHAR, unit VARCHAR, pool VARCHAR, generation BIGINT, pid BIGINT,
    decision VARCHAR, adopted BOOLEAN, code BIGINT, signal BIGINT, error VARCHAR, died BIGINT
);

-- What a tick said of a process tree. `cpu` in tenths of a percent of one core, `memory` in bytes.
CREATE TABLE unit_sample (
    position BIGINT, time BIGINT, full_frame BOOLEAN, unit VARCHAR, generation BIGINT, status VARCHAR, cpu BIGINT,
    memory BIGINT, threads BIGINT, processes BIGINT, in_flight BIGINT, beat_age_ms BIGINT
);

-- What a tick said of a queue's consumer.
CREATE TABLE queue_sample (
    position BIGINT, time BIGINT, full_frame BOOLEAN, queue VARCHAR, pending BIGINT, in_flight BIGINT, pulls BIGINT,
    redelivered BIGINT
);

-- Every decision. `choice` is what the action does; `cause`, `severity`, `again`, `generation`, `until`, `wanted` are
-- the fields that its actions have, NULL where they have none.
CREATE TABLE decision (
    position BIGINT, time BIGINT, id VARCHAR, elf VARCHAR, rule VARCHAR, target VARCHAR, choice VARCHAR, reason VARCHAR,
    text VARCHAR, trigger BIGINT, as_of BIGINT, epoch BIGINT, ordinal BIGINT, size BIGINT, policy VARCHAR,
    version VARCHAR, settings VARCHAR, inputs_digest VARCHAR, candidates BIGINT, probability DOUBLE, mode VARCHAR,
    cost BIGINT, cause VARCHAR, severity VARCHAR, again BOOLEAN, generation BIGINT, until BIGINT, wanted VARCHAR
);

-- What came of decisions. `what`: started, step, verified, failed.
CREATE TABLE effect (
    position BIGINT, time BIGINT, what VARCHAR, decision VARCHAR, target VARCHAR, step VARCHAR, ok BOOLEAN,
    detail VARCHAR, error VARCHAR, took_ms BIGINT
);

-- What people said a worker shall do.
CREATE TABLE intent (
    position BIGINT, time BIGINT, source VARCHAR, target VARCHAR, intent VARCHAR, restart BOOLEAN, reason VARCHAR
);

-- Settings as they came into force.
CREATE TABLE adopted (
    position BIGINT, time BIGINT, source VARCHAR, origin VARCHAR, digest VARCHAR, changed VARCHAR[], settings VARCHAR
);

-- The life of nodes. `what`: lease, started, stopping, stopped, keeper, clock.
CREATE TABLE node_event (
    position BIGINT, time BIGINT, what VARCHAR, node VARCHAR, previous BIGINT, release VARCHAR, pure_zone VARCHAR,
    pid BIGINT, boot VARCHAR, python VARCHAR, reason VARCHAR, step_ms BIGINT
);

-- Parts of workers' logs that were cut off; `start` and `stop` are offsets in the log, `size` the bytes on disk.
CREATE TABLE log_rotation (
    position BIGINT, time BIGINT, unit VARCHAR, segment VARCHAR, start BIGINT, stop BIGINT, size BIGINT
);

-- Times in which the node decided nothing because there was no room. `what`: began, ended. `free` in bytes.
CREATE TABLE standby (position BIGINT, time BIGINT, what VARCHAR, node VARCHAR, reason VARCHAR, free BIGINT);

-- The digest of an elf's state at a position.
CREATE TABLE state_digest (position BIGINT, time BIGINT, elf VARCHAR, as_of BIGINT, digest VARCHAR);

-- Elves that came back after a failure.
CREATE TABLE resumption (position BIGINT, time BIGINT, elf VARCHAR, after BIGINT, error VARCHAR);

-- Messages that a reader put aside.
CREATE TABLE quarantined (
    position BIGINT, time BIGINT, message BIGINT, subject VARCHAR, reason VARCHAR, sample VARCHAR
);

-- What was sealed into files of its own, and what left the stream. `what`: sealed, purged. `size` in bytes.
CREATE TABLE history (
    position BIGINT, time BIGINT, what VARCHAR, first BIGINT, last BIGINT, below BIGINT, head VARCHAR, sha256 VARCHAR,
    size BIGINT, bound VARCHAR, messages BIGINT
);

-- Events that this release cannot read: unknown tags and bytes that are no event.
CREATE TABLE unread (position BIGINT, time BIGINT, type VARCHAR, source VARCHAR, subject VARCHAR, reason VARCHAR);

-- What the tables and views were made from, so that another release makes them again.
CREATE TABLE meta (key VARCHAR, value VARCHAR);
