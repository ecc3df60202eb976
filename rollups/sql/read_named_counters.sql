-- The eventual counts of named counters, for a page of objects; and whether they are pending.
-- Parameters: namespace_ids bigint[], names text[] (in pairs).
-- Returns: one row a name: position (from 0), counter_id (null: there is none yet; its count
--   is 0), count, as_of, pending, last_write_at (as read_eventual.sql).
-- Indexes: counters_counter_namespace_name; the primary keys of rollup and last write.
-- The names are in a SELECT: see fold_events.sql.
SELECT wanted.position - 1,
       counter.id,
       coalesce(rollup.total, 0),
       CASE WHEN waiting.written_at IS NULL AND NOT pg_is_in_recovery() THEN now()
            WHEN rollup.watermark_at <= clock_timestamp()
              THEN least(rollup.watermark_at, waiting.first_written_at)
            ELSE least(coalesce(counter.created_at, to_timestamp(0)), waiting.first_written_at, now()) END,
       waiting.written_at IS NOT NULL,
       greatest(rollup.last_write_at, waiting.written_at)
FROM unnest((SELECT %(namespace_ids)s::bigint[]), (SELECT %(names)s::text[]))
  WITH ORDINALITY AS wanted (namespace_id, name, position)
LEFT JOIN counters_counter AS counter
  ON counter.namespace_id = wanted.namespace_id AND counter.name = wanted.name
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
