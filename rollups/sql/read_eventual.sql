-- A counter's count from its rollup, and whether it is pending.
-- Parameters: namespace_id bigint, name text.
-- Returns: one row, or none where the counter does not exist: counter_id, count, as_of,
--   pending, last_write_at.
-- Indexes: counters_counter_namespace_name; the primary keys of rollup and last write.
-- as_of is the transaction's beginning, because that is before the snapshot, always. A statement's
--   own time is not: the driver sends Bind and Execute, the snapshot is taken by the first and
--   statement_timestamp() set again by the second; and a REPEATABLE READ block's is older still.
-- If events are pending, as_of is the watermark's time. A watermark's time in the future was stored
-- before the clock was set back and proves nothing; nor does one later than a write that the
-- watermark does not cover. On a standby the lag of the snapshot is unknown; there,
-- only the rollup's own time is certain.
SELECT counter.id,
       coalesce(rollup.total, 0),
       CASE WHEN waiting.written_at IS NULL AND NOT pg_is_in_recovery() THEN now()
            WHEN rollup.watermark_at <= clock_timestamp()
              THEN least(rollup.watermark_at, waiting.first_written_at)
            ELSE least(counter.created_at, waiting.first_written_at, now()) END,
       waiting.written_at IS NOT NULL,
       greatest(rollup.last_write_at, waiting.written_at)
FROM counters_counter AS counter
LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = counter.id
LEFT JOIN LATERAL (
  -- A last write that the watermark covers is folded; it is about to be removed.
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
WHERE counter.namespace_id = %(namespace_id)s::bigint AND counter.name = %(name)s::text
