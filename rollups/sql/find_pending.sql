-- The counters that have waited longest for a fold, those quarantined included; for a list.
-- Parameters: namespace_id bigint (null: all), prefix text (of the name),
--   most bigint.
-- Returns: counter_id; longest lag first.
-- Cost: one pass over the last writes, which exist for pending counters only, with a primary
--   key look-up in rollups and counters for each of their counters.
SELECT pending.counter_id
FROM rollups_pending AS pending
-- A look-up for each: see select_pending.sql.
CROSS JOIN LATERAL (
  SELECT namespace_id, name FROM counters_counter WHERE id = pending.counter_id OFFSET 0
) AS counter
WHERE (%(namespace_id)s::bigint IS NULL OR counter.namespace_id = %(namespace_id)s::bigint)
  AND starts_with(counter.name, %(prefix)s::text)
ORDER BY pending.lag DESC, pending.counter_id
LIMIT %(most)s::bigint
