-- Removes the last writes that their rollup's watermark covers.
-- Parameters: counter_ids bigint[].
-- Returns: counter_id, one row a counter that is pending again: written since its fold.
-- A transaction of its own AFTER the fold's commit, so that a writer who comes back to its
-- slot waits for this moment, never for a fold. A row that a writer holds is skipped; one
-- that it changed meanwhile is checked again by PostgreSQL once it is locked, and stays.
-- Indexes: the primary keys of last write and rollup.
-- The ids are in a SELECT: see fold_events.sql.
WITH settled AS (
  SELECT last_write.counter_id, last_write.slot
  FROM counters_lastwrite AS last_write
  JOIN rollups_rollup AS rollup ON rollup.counter_id = last_write.counter_id
  WHERE last_write.counter_id = ANY ((SELECT %(counter_ids)s::bigint[])::bigint[])
    AND pg_visible_in_snapshot(last_write.xid, rollup.watermark)
  FOR UPDATE OF last_write SKIP LOCKED
),
removed AS (
  DELETE FROM counters_lastwrite AS last_write
  USING settled
  WHERE last_write.counter_id = settled.counter_id AND last_write.slot = settled.slot
    -- Said again, so that they are looked up also where the planner knows of hardly any rows
    -- and would join all of them.
    AND last_write.counter_id = ANY ((SELECT %(counter_ids)s::bigint[])::bigint[])
)
SELECT DISTINCT last_write.counter_id
FROM counters_lastwrite AS last_write
JOIN rollups_rollup AS rollup ON rollup.counter_id = last_write.counter_id
WHERE last_write.counter_id = ANY ((SELECT %(counter_ids)s::bigint[])::bigint[])
  AND NOT pg_visible_in_snapshot(last_write.xid, rollup.watermark)
