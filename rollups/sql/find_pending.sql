-- The counters that have waited longest for a fold, those set apart included; for a list.
-- Parameters: namespace_id bigint (null: all), prefix text (of the name; as a LIKE pattern),
--   most bigint.
-- Returns: counter_id; longest lag first.
-- Cost: one pass over the last writes, which exist for pending counters only, with a primary
--   key look-up in rollups and counters for each of their counters.
SELECT waiting.counter_id
FROM (
  SELECT last_write.counter_id,
         greatest(min(last_write.pending_since), max(rollup.watermark_at)) AS since
  FROM counters_lastwrite AS last_write
  LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = last_write.counter_id
  WHERE NOT pg_visible_in_snapshot(last_write.xid, coalesce(rollup.watermark, '1:1:'))
  GROUP BY last_write.counter_id
) AS waiting
JOIN counters_counter AS counter ON counter.id = waiting.counter_id
WHERE (%(namespace_id)s::bigint IS NULL OR counter.namespace_id = %(namespace_id)s::bigint)
  AND counter.name LIKE %(prefix)s::text
ORDER BY waiting.since, waiting.counter_id
LIMIT %(most)s::bigint
