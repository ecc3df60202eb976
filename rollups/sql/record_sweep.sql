-- Records what a sweep found, and forgets sweeps and failures of long ago.
-- Parameters: pending bigint, overdue bigint, oldest_lag interval, keep interval.
-- Returns: the id of the sweep.
-- Indexes: rollups_sweep_swept_at; failures are few.
WITH forgotten AS (
  DELETE FROM rollups_sweep WHERE swept_at < statement_timestamp() - %(keep)s::interval
),
-- Of a counter that has been folded by other means since, or deleted.
forgotten_failures AS (
  DELETE FROM rollups_failure
  WHERE NOT EXISTS (
    SELECT FROM counters_lastwrite AS last_write
    WHERE last_write.counter_id = rollups_failure.counter_id
  )
)
INSERT INTO rollups_sweep (swept_at, pending, overdue, healed, oldest_lag)
VALUES (
  statement_timestamp(), %(pending)s::bigint, %(overdue)s::bigint, 0,
  %(oldest_lag)s::interval
)
RETURNING id
