-- Which of the given counters have anything to fold; makes the rollups that they lack.
-- Parameters: counter_ids bigint[].
-- Returns: counter_id, one row a counter with last writes.
-- Its own transaction, so that two folders of a new counter wait for a moment, not a fold.
-- Index: the primary keys of last write, counter and rollup.
WITH pending AS MATERIALIZED (
  SELECT DISTINCT last_write.counter_id, counter.namespace_id
  FROM counters_lastwrite AS last_write
  JOIN counters_counter AS counter ON counter.id = last_write.counter_id
  WHERE last_write.counter_id = ANY (%(counter_ids)s::bigint[])
),
created AS (
  INSERT INTO rollups_rollup (counter_id, namespace_id)
  SELECT pending.counter_id, pending.namespace_id
  FROM pending
  WHERE NOT EXISTS (
    SELECT FROM rollups_rollup AS rollup WHERE rollup.counter_id = pending.counter_id
  )
  ORDER BY pending.counter_id
  ON CONFLICT (counter_id) DO NOTHING
)
SELECT counter_id FROM pending
