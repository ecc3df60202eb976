-- The days of events that found no partition and wait in the default one.
-- Parameters: most bigint.
-- Returns: day timestamptz, oldest first. One pass over the default partition, which is
--   empty but for imports and forgotten upkeep.
SELECT DISTINCT date_trunc('day', event_time, 'UTC') AS day
FROM counters_event_default
ORDER BY day
LIMIT %(most)s::bigint
