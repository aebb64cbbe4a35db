-- The log: everything that was said.

-- What happened? One row an event, in log order. `body` is what was said, NULL where the bytes are no event.
CREATE VIEW events AS
SELECT position AS seq, make_timestamp(time) AS time, type, source, entity, cause AS causation, correlation,
       TRY(json_extract(decode(data), '$.body')) AS body, id, subject, make_timestamp(forest) AS forest_time
FROM log;
