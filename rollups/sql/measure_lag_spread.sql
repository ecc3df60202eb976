-- How long pending counters have waited: half of them, 99 in 100, and all.
-- Parameters: none.
-- Returns one row: pending bigint, p50, p99, max in seconds (0 where none is pending).
-- Cost, and times from the future: as measure_lag.sql; one pass over the last writes.
SELECT lag.pending,
       coalesce(lag.spread[1], 0),
       coalesce(lag.spread[2], 0),
       coalesce(lag.spread[3], 0)
FROM (
  SELECT count(*) AS pending,
         percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY waiting.seconds)
           AS spread
  FROM (
    SELECT abs(
             extract(
               epoch FROM clock_timestamp() - greatest(
                 min(last_write.pending_since),
                 max(rollup.watermark_at) FILTER (
                   WHERE rollup.watermark_at <= clock_timestamp()
                 )
               )
             )
           )::double precision AS seconds
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
) AS lag
