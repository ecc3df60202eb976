-- How folding and sweeping are doing, for metrics and `rollup_status`.
-- Parameters: none.
-- Returns one row: pending bigint, lag_seconds, last_sweep_age_seconds (null: none is on
--   record), healed_lately bigint (by the sweeps of the last ten minutes), set_apart bigint,
--   is_anchored boolean (false: restored from a dump, see rollups.anchoring).
-- Cost: as measure_lag.sql; sweeps by their index, failures are few.
SELECT lag.pending,
       extract(epoch FROM lag.oldest)::double precision,
       sweep.age,
       sweep.healed_lately,
       (SELECT count(*) FROM rollups_failure),
       rollups_is_anchored()
FROM (
  SELECT count(*) AS pending,
         coalesce(
           max(clock_timestamp() - greatest(waiting.pending_since, watermark_at)), '0'
         ) AS oldest
  FROM (
    SELECT last_write.counter_id,
           min(last_write.pending_since) AS pending_since,
           max(rollup.watermark_at) AS watermark_at
    FROM counters_lastwrite AS last_write
    LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = last_write.counter_id
    WHERE NOT pg_visible_in_snapshot(last_write.xid, coalesce(rollup.watermark, '1:1:'))
    GROUP BY last_write.counter_id
  ) AS waiting
) AS lag
CROSS JOIN (
  SELECT (
           SELECT extract(epoch FROM clock_timestamp() - max(swept_at))::double precision
           FROM rollups_sweep
         ) AS age,
         (
           SELECT coalesce(sum(healed), 0)
           FROM rollups_sweep
           WHERE swept_at > statement_timestamp() - interval '10 minutes'
         ) AS healed_lately
) AS sweep
