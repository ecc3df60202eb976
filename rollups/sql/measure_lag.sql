-- The system's lag: how many counters are pending, and the greatest lag among them.
-- Parameters: none.
-- Returns: one row: pending bigint, oldest interval (0 where none is pending).
-- Cost, and times from the future: as select_pending.sql. A last write that its watermark
--   covers is not pending.
SELECT count(*), coalesce(max(greatest(waiting.age, -waiting.age)), '0')
FROM (
  SELECT clock_timestamp() - greatest(
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
