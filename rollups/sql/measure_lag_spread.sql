-- How long pending counters have waited: half of them, 99 in 100, and all.
-- Parameters: none.
-- Returns one row: pending bigint, p50, p99, max in seconds (0 where none is pending).
-- Cost: as measure_lag.sql; one pass over the last writes.
SELECT waiting.pending,
       coalesce(waiting.spread[1], 0),
       coalesce(waiting.spread[2], 0),
       coalesce(waiting.spread[3], 0)
FROM (
  SELECT count(*) AS pending,
         percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (
           ORDER BY extract(epoch FROM lag)::double precision
         ) AS spread
  FROM rollups_pending
) AS waiting
