-- How folding and sweeping are doing, for metrics and `counters status`.
-- Parameters: alive interval.
-- Returns one row: pending bigint, lag_seconds, last_sweep_age_seconds (null: none is on
--   record), healed_lately bigint (by the sweeps of the last ten minutes), quarantined bigint,
--   is_anchored boolean (false: restored from a dump, see rollups.folding.cluster_identity), folding and
--   idle_workers bigint (processes that reported lately: workers and `rollup --watch`;
--   workers that do not read the queue).
-- Cost: as measure_lag.sql; sweeps by their index, failures are few.
SELECT waiting.pending,
       extract(epoch FROM waiting.oldest)::double precision,
       sweep.age,
       sweep.healed_lately,
       (SELECT count(*) FROM rollups_failure),
       rollups_is_anchored(),
       process.folding,
       process.idle_workers
FROM (
  SELECT count(*) AS pending, coalesce(max(lag), '0') AS oldest
  FROM rollups_pending
) AS waiting
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
CROSS JOIN (
  SELECT count(*) FILTER (WHERE role IN ('worker', 'watch')) AS folding,
         count(*) FILTER (WHERE role = 'other worker') AS idle_workers
  FROM rollups_process
  WHERE seen_at > statement_timestamp() - %(alive)s::interval
) AS process
