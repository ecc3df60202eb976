-- How folding and sweeping are doing, for metrics and `rollup_status`.
-- Parameters: none.
-- Returns one row: pending bigint, lag_seconds, last_sweep_age_seconds (null: none is on
--   record), healed_lately bigint (by the sweeps of the last ten minutes), set_apart bigint,
--   is_anchored boolean (false: restored from a dump, see rollups.anchoring).
-- Cost, and times from the future: as measure_lag.sql; sweeps by their index, failures are
--   few.
SELECT lag.pending,
       extract(epoch FROM lag.oldest)::double precision,
       sweep.age,
       sweep.healed_lately,
       (SELECT count(*) FROM rollups_failure),
       rollups_is_anchored()
FROM (
  SELECT count(*) AS pending,
         coalesce(max(greatest(waiting.age, -waiting.age)), '0') AS oldest
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
) AS lag
CROSS JOIN (
  SELECT (
           SELECT extract(epoch FROM clock_timestamp() - max(swept_at))::double precision
           FROM rollups_sweep
           WHERE swept_at <= clock_timestamp()
         ) AS age,
         (
           SELECT coalesce(sum(healed), 0)
           FROM rollups_sweep
           WHERE swept_at > statement_timestamp() - interval '10 minutes'
         ) AS healed_lately
) AS sweep
