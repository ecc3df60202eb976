-- Locks the rollups of the given counters; one that another fold holds is skipped.
-- Parameters: counter_ids bigint[].
-- Returns: counter_id, one row a locked rollup.
-- Raises: CN503, from rollups_check_anchor, where the watermarks are of another cluster.
-- Index: the rollup's primary key.
SELECT counter_id
FROM rollups_rollup
WHERE counter_id = ANY (%(counter_ids)s::bigint[])
  -- A subquery, so that it is asked once and not for each row.
  AND (SELECT rollups_check_anchor())
ORDER BY counter_id
FOR UPDATE SKIP LOCKED
