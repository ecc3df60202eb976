-- Sets a counter apart whose fold failed, for twice as long each time.
-- Parameters: counter_id bigint, error text, first interval, longest interval.
-- Index: the failure's primary key.
INSERT INTO rollups_failure AS failure
  (counter_id, error, attempts, failed_since, failed_at, next_try_at)
VALUES (
  %(counter_id)s::bigint, %(error)s::text, 1,
  statement_timestamp(), statement_timestamp(),
  statement_timestamp() + %(first)s::interval
)
ON CONFLICT (counter_id) DO UPDATE SET
  error = excluded.error,
  attempts = failure.attempts + 1,
  failed_at = excluded.failed_at,
  next_try_at = excluded.failed_at
    -- The exponent is bounded, or the power would overflow first.
    + least(%(first)s::interval * 2 ^ least(failure.attempts, 30), %(longest)s::interval)
