-- How long some counters have been waiting for a fold.
-- Parameters: counter_ids bigint[].
-- Returns: counter_id, lag interval; one row a counter that is pending.
-- Index: the primary keys of last write and rollup.
SELECT counter_id, lag
FROM rollups_pending
WHERE counter_id = ANY (%(counter_ids)s::bigint[])
