-- The warehouse's tables. Rows are only ever appended, by the projector, in log order; `position` is the place in the
-- log of the event that a row comes from. Times are microseconds since 1970 (UTC). People read the views.

-- Every event: its exact bytes, from which everything else here can be made again, and its envelope.
-- `forest` is the running maximum of the times that the lease holder wrote. `type` is 'malformed' where the bytes are no event.
CREATE TABLE log (
    position BIGINT NOT NULL, subject VARCHAR NOT NULL, data BLOB NOT NULL, id VARCHAR, time BIGINT, forest BIGINT,
    type VARCHAR, source VARCHAR, entity VARCHAR, cause VARCHAR, correlation VARCHAR
);

-- One row: up to where the tables follow the log, and the running hash there. `holder` leads since `epoch`; `marks` is
-- a fingerprint of the columns of `log` beside its bytes.
CREATE TABLE checkpoint (
    position BIGINT, head VARCHAR, count BIGINT, time BIGINT, forest BIGINT, holder VARCHAR, epoch BIGINT, marks UBIGINT
);

-- What rows of later events need to know of earlier ones, as JSON: tasks without an end, rates, agents, mana.
CREATE TABLE fact (name VARCHAR, state VARCHAR);

-- Tasks as they were asked for. `due` is 0 for a task that may start at once, `trace` the id of its W3C trace.
CREATE TABLE task_asked (
    position BIGINT, time BIGINT, task VARCHAR, queue VARCHAR, kind VARCHAR, priority VARCHAR, complexity BIGINT,
    timeout_s DOUBLE, parent VARCHAR, due BIGINT, trace VARCHAR
);

-- Claims of tasks. An `agent` claims a `lease`; it is `legit` when that very lease was assigned to it, a worker's claim always.
CREATE TABLE task_claim (
    position BIGINT, time BIGINT, task VARCHAR, queue VARCHAR, unit VARCHAR, generation BIGINT, pid BIGINT,
    attempt BIGINT, deaths BIGINT, solo BOOLEAN, lease BIGINT, note BIGINT, agent BOOLEAN, legit BOOLEAN
);

-- Ends of claims and tasks. `what`: finished, failed, released, died, dropped, cancelled, moved, salvaged. `kind` is the
-- failure's. The rest is what the log before makes of it: `effective` for the claim in force, `final` for its task, `fenced` when
-- another agent than the claimer's wrote it, when
-- that was `submitted` and `claimed` (NULL where it counts for nothing), its `type` and `priority`, whether an `agent`
-- claimed it last, and the `day` in the zone of the settings.
CREATE TABLE task_end (
    position BIGINT, time BIGINT, what VARCHAR, task VARCHAR, queue VARCHAR, unit VARCHAR, generation BIGINT,
    attempt BIGINT, attempts BIGINT, claim BIGINT, kind VARCHAR, error VARCHAR, service_ms BIGINT, retry_in_s DOUBLE,
    moved_to VARCHAR, reason VARCHAR, deaths BIGINT, cleared BIGINT, effective BOOLEAN, final BOOLEAN,
    fenced BOOLEAN, submitted BIGINT, claimed BIGINT, type VARCHAR, priority VARCHAR, agent BOOLEAN, day DATE
);

-- Tasks given to agents. `lease` counts a task's assignments; one that is not `legit` was advice, or its epoch was over.
CREATE TABLE assignment (
    position BIGINT, time BIGINT, task VARCHAR, queue VARCHAR, agent VARCHAR, lease BIGINT, attempt BIGINT,
    previous VARCHAR, reason VARCHAR, legit BOOLEAN
);

-- The life of processes. `what`: ordered, started, ready, exited, orphan. `died` is when the process ended, 0 unknown.
CREATE TABLE unit_event (
    position BIGINT, time BIGINT, what VARCHAR, unit VARCHAR, pool VARCHAR, generation BIGINT, pid BIGINT,
    decision VARCHAR, adopted BOOLEAN, code BIGINT, signal BIGINT, error VARCHAR, died BIGINT
);

-- What a tick said of a process tree. `cpu` in tenths of a percent of one core, `memory` in bytes, `fds` NULL where they
-- were not read. The rates are those of its ends before, forgotten with a half-life of a day.
CREATE TABLE unit_sample (
    position BIGINT, time BIGINT, full_frame BOOLEAN, unit VARCHAR, generation BIGINT, status VARCHAR, cpu BIGINT,
    memory BIGINT, threads BIGINT, processes BIGINT, in_flight BIGINT, beat_age_ms BIGINT, fds BIGINT,
    completion_rate DOUBLE, response_s DOUBLE, error_rate DOUBLE
);

-- What a tick said of a queue's consumer.
CREATE TABLE queue_sample (
    position BIGINT, time BIGINT, full_frame BOOLEAN, queue VARCHAR, pending BIGINT, in_flight BIGINT, pulls BIGINT,
    redelivered BIGINT
);

-- The life of agents. `what`: added, revoked, joined, left, intent, phase, handed_over.
CREATE TABLE agent_event (
    position BIGINT, time BIGINT, what VARCHAR, agent VARCHAR, run VARCHAR, pid BIGINT, host VARCHAR, release VARCHAR,
    wip BIGINT, state VARCHAR, intent VARCHAR, phase VARCHAR, reason VARCHAR, task VARCHAR, queue VARCHAR,
    attempt BIGINT, until BIGINT, decision VARCHAR
);

-- How an agent stands from here on. `slots` is how many tasks it may hold at most, `wip` how many now; `up` says that it
-- is there, wanted and not found down.
CREATE TABLE agent_state (
    position BIGINT, time BIGINT, agent VARCHAR, state VARCHAR, phase VARCHAR, intent VARCHAR, slots BIGINT, wip BIGINT,
    up BOOLEAN
);

-- What a tick said of an agent, with the rates of its ends before as in `unit_sample`.
CREATE TABLE agent_sample (
    position BIGINT, time BIGINT, full_frame BOOLEAN, agent VARCHAR, beat_age_ms BIGINT, holds BIGINT, stall_ms BIGINT,
    connected BOOLEAN, lag_ms BIGINT, completion_rate DOUBLE, response_s DOUBLE, error_rate DOUBLE
);

-- Outages of agents that ended with a task done rightly, its canary's or any; `down` is when it was found down.
CREATE TABLE recovery (position BIGINT, time BIGINT, agent VARCHAR, down_position BIGINT, down BIGINT, day DATE);

-- Every decision. `choice` is what the action does; `cause`, `severity`, `again`, `generation`, `until`, `wanted` are
-- the fields that its actions have, NULL where they have none.
CREATE TABLE decision (
    position BIGINT, time BIGINT, id VARCHAR, elf VARCHAR, rule VARCHAR, target VARCHAR, choice VARCHAR, reason VARCHAR,
    text VARCHAR, trigger BIGINT, as_of BIGINT, epoch BIGINT, ordinal BIGINT, size BIGINT, policy VARCHAR,
    version VARCHAR, settings VARCHAR, inputs_digest VARCHAR, candidates BIGINT, probability DOUBLE, mode VARCHAR,
    cost BIGINT, cause VARCHAR, severity VARCHAR, again BOOLEAN, generation BIGINT, until BIGINT, wanted VARCHAR
);

-- What became of forecasts. `alert` is the decision that raised it, `verdict` right, wrong, averted or missed.
CREATE TABLE alert_score (
    position BIGINT, time BIGINT, alert VARCHAR, verdict VARCHAR, cause VARCHAR, target VARCHAR, day DATE
);

-- Every elf's mana after each change by a decision or its outcome, and once a minute.
CREATE TABLE mana_level (position BIGINT, time BIGINT, elf VARCHAR, level BIGINT);

-- What came of decisions. `what`: started, step, verified, failed.
CREATE TABLE effect (
    position BIGINT, time BIGINT, what VARCHAR, decision VARCHAR, target VARCHAR, step VARCHAR, ok BOOLEAN,
    detail VARCHAR, error VARCHAR, took_ms BIGINT
);

-- What people said a worker shall do.
CREATE TABLE intent (
    position BIGINT, time BIGINT, source VARCHAR, target VARCHAR, intent VARCHAR, restart BOOLEAN, reason VARCHAR
);

-- What came of commands that run by the clock.
CREATE TABLE job_run (
    position BIGINT, time BIGINT, job VARCHAR, decision VARCHAR, kind VARCHAR, ok BOOLEAN, outcome VARCHAR, code BIGINT,
    signal BIGINT, took_ms BIGINT, tail VARCHAR, day DATE
);

-- Daily analyses. `missed` are the indicators whose targets were not met.
CREATE TABLE analysis (
    position BIGINT, time BIGINT, day VARCHAR, as_of BIGINT, digest VARCHAR, missed VARCHAR[], recommendations VARCHAR[]
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
