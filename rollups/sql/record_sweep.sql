-- Records what a sweep found, and forgets sweeps of long ago.
-- Parameters: pending bigint, healed bigint, oldest_lag interval, keep interval.
-- Index: rollups_sweep_swept_at.
WITH forgotten AS (
  DELETE FROM rollups_sweep WHERE swept_at < statement_timestamp() - %(keep)s::interval
)
INSERT INTO rollups_sweep (swept_at, pending, healed, oldest_lag)
VALUES (
  statement_timestamp(), %(pending)s::bigint, %(healed)s::bigint, %(oldest_lag)s::interval
)
