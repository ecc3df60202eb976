-- Locks the rollups of the given counters; one that another fold holds is skipped.
-- Parameters: counter_ids bigint[].
-- Returns: counter_id, one row a locked rollup.
-- Index: the rollup's primary key.
SELECT counter_id
FROM rollups_rollup
WHERE counter_id = ANY (%(counter_ids)s::bigint[])
ORDER BY counter_id
FOR UPDATE SKIP LOCKED
