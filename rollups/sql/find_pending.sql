-- The counters that have waited longest for a fold, those set apart included; for a list.
-- Parameters: namespace_id bigint (null: all), prefix text (of the name),
--   most bigint.
-- Returns: counter_id; longest lag first.
-- Cost: one pass over the last writes, which exist for pending counters only, with a primary
--   key look-up in rollups and counters for each of their counters. Times from the future: as
--   select_pending.sql.
SELECT waiting.counter_id
FROM (
  SELECT last_write.counter_id,
         clock_timestamp() - greatest(
           min(last_write.pending_since),
           max(rollup.watermark_at) FILTER (
             WHERE rollup.watermark_at <= clock_timestamp()
           )
         ) AS age
  FROM counters_lastwrite AS last_write
  -- A look-up for each: see select_pending.sql.
  LEFT JOIN LATERAL (
    SELECT watermark, watermark_at
    FROM rollups_rollup
    WHERE counter_id = last_write.counter_id
    OFFSET 0
  ) AS rollup ON true
  WHERE NOT pg_visible_in_snapshot(last_write.xid, coalesce(rollup.watermark, '1:1:'))
  GROUP BY last_write.counter_id
) AS waiting
CROSS JOIN LATERAL (
  SELECT namespace_id, name FROM counters_counter WHERE id = waiting.counter_id OFFSET 0
) AS counter
WHERE (%(namespace_id)s::bigint IS NULL OR counter.namespace_id = %(namespace_id)s::bigint)
  AND starts_with(counter.name, %(prefix)s::text)
ORDER BY greatest(waiting.age, -waiting.age) DESC, waiting.counter_id
LIMIT %(most)s::bigint
