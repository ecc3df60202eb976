-- Counts of many counters from their rollups, and whether they are pending.
-- Parameters: counter_ids bigint[].
-- Returns: one row a counter that exists, in the order of the ids: counter_id, name,
--   count, as_of, pending, last_write_at (as read_eventual.sql).
-- Indexes: the primary keys of counter, rollup and last write.
-- The ids are in a SELECT: see fold_events.sql.
SELECT counter.id,
       counter.name,
       coalesce(rollup.total, 0),
       CASE WHEN waiting.written_at IS NULL AND NOT pg_is_in_recovery() THEN now()
            WHEN rollup.watermark_at <= clock_timestamp()
              THEN least(rollup.watermark_at, waiting.first_written_at)
            ELSE least(counter.created_at, waiting.first_written_at, now()) END,
       waiting.written_at IS NOT NULL,
       greatest(rollup.last_write_at, waiting.written_at)
FROM unnest((SELECT %(counter_ids)s::bigint[])) WITH ORDINALITY AS wanted (counter_id, position)
JOIN counters_counter AS counter ON counter.id = wanted.counter_id
LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = counter.id
LEFT JOIN LATERAL (
  SELECT max(last_write.written_at) AS written_at,
         min(last_write.written_at) AS first_written_at
  FROM counters_lastwrite AS last_write
  WHERE last_write.counter_id = counter.id
    AND (
      NOT pg_visible_in_snapshot(last_write.xid, coalesce(rollup.watermark, '1:1:'))
      -- Then what the watermark seems to cover may be new. Asked for such rows only.
      OR NOT (SELECT rollups_is_anchored())
    )
) AS waiting ON true
ORDER BY wanted.position
