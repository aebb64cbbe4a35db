-- What elves proposed or advised, and what people answered.

-- Which proposals and pieces of advice were made, and what became of them? `state`: open, approved, rejected, expired
-- (its time is over, or advice that was not repeated for 20 minutes), replaced (a later one of the same elf, rule and
-- target stands for it). Columns from `claim` on are told by proposals of Wisdom only.
CREATE VIEW proposals AS
WITH answers AS (
    SELECT json_extract_string(body, '$.decision') AS decision, min(seq) AS seq, arg_min(type, seq) AS type,
           arg_min(time, seq) AS time, arg_min(coalesce(json_extract_string(body, '$.reason'), ''), seq) AS reason,
           arg_min(source, seq) AS source
    FROM events WHERE type IN ('proposal_approved', 'proposal_rejected') AND starts_with(source, 'operator.')
    GROUP BY ALL
), made AS (
    SELECT d.seq, d.time, d.id, d.elf, d.kind AS rule, d.target, d.choice, d.mode, d.text, d.mana_cost, d.reason,
           lead(d.seq) OVER (PARTITION BY d.elf, d.kind, d.target ORDER BY d.seq) AS next_seq,
           json_extract(v.body, '$.action') AS action
    FROM decisions d JOIN events v ON v.seq = d.seq
    WHERE NOT d.stale AND (d.choice IN ('propose', 'propose_move', 'propose_batch', 'propose_maintenance', 'propose_restart')
        OR (d.mode = 'advise' AND d.choice NOT IN ('raise_alert', 'clear_alert', 'score_alert', 'abstain', 'defer')))
), dated AS (
    SELECT m.*, CASE
        WHEN choice = 'propose' THEN make_timestamp(json_extract(action, '$.expires')::BIGINT)
        WHEN choice = 'propose_maintenance' THEN make_timestamp(json_extract(action, '$.start')::BIGINT)
        WHEN choice = 'propose_restart' THEN make_timestamp(json_extract(action, '$.at')::BIGINT)
        WHEN mode = 'advise' THEN m.time + INTERVAL 20 MINUTE
        ELSE m.time + INTERVAL 1 HOUR END AS expires
    FROM made m
)
SELECT p.seq, p.time, p.id, p.elf, p.rule, p.target, p.choice, p.mode, p.text,
       CASE WHEN a.type = 'proposal_approved' THEN 'approved' WHEN a.type = 'proposal_rejected' THEN 'rejected'
            WHEN p.next_seq IS NOT NULL THEN 'replaced'
            WHEN p.expires < (SELECT forest_time FROM log_end) THEN 'expired' ELSE 'open' END AS state,
       p.expires, a.time AS answered, nullif(a.reason, '') AS answer, a.source AS answered_by,
       json_extract_string(p.action, '$.claim') AS claim, json_extract_string(p.action, '$.sql') AS sql,
       json_extract_string(p.action, '$.gain') AS gain, json_extract(p.action, '$.low')::DOUBLE AS low,
       json_extract(p.action, '$.high')::DOUBLE AS high, json_extract(p.action, '$.n')::BIGINT AS n,
       json_extract_string(p.action, '$.risk') AS risk, json_extract_string(p.action, '$.rollback') AS rollback,
       json_extract(p.action, '$.change') AS change, p.action
FROM dated p LEFT JOIN answers a ON a.decision = p.id;
