-- Counters that were deleted during an add: only the add's rows are left.
-- Parameters: most bigint.
-- Returns: counter_id. Reads the last writes, of which there are few.
SELECT DISTINCT last_write.counter_id
FROM counters_lastwrite AS last_write
WHERE NOT EXISTS (
  SELECT FROM counters_counter AS counter WHERE counter.id = last_write.counter_id
)
LIMIT %(most)s::bigint
