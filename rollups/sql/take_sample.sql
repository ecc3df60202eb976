-- Notes how the database and all processes are doing now, and forgets samples of long ago.
-- Parameters: gap interval (none is taken within it of the last one), keep interval.
-- Cost: as measure_lag_spread.sql; and a row each for the processes and partitions there
--   are.
-- Index: the sample's primary key.
WITH forgotten AS (
  DELETE FROM rollups_sample WHERE sampled_at < statement_timestamp() - %(keep)s::interval
)
INSERT INTO rollups_sample (
  sampled_at, pending, lag_p50_seconds, lag_p99_seconds, lag_max_seconds, inserted, numbers
)
SELECT statement_timestamp(),
       waiting.pending,
       coalesce(waiting.spread[1], 0),
       coalesce(waiting.spread[2], 0),
       coalesce(waiting.spread[3], 0),
       (
         -- The partitions' own statistics; pg_stat_user_tables asks for much more.
         SELECT coalesce(sum(pg_stat_get_tuples_inserted(inhrelid)), 0)
         FROM pg_inherits
         WHERE inhparent = 'counters_event'::regclass
       ),
       (
         SELECT coalesce(jsonb_object_agg(key, total), '{}')
         FROM (
           SELECT number.key, sum(number.value::numeric) AS total
           FROM rollups_process
           CROSS JOIN LATERAL jsonb_each_text(rollups_process.numbers) AS number
           GROUP BY number.key
         ) AS summed
       )
FROM (
  SELECT count(*) AS pending,
         percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (
           ORDER BY extract(epoch FROM lag)::double precision
         ) AS spread
  FROM rollups_pending
) AS waiting
WHERE NOT EXISTS (
  SELECT FROM rollups_sample
  WHERE sampled_at > statement_timestamp() - %(gap)s::interval
    -- One from the future is a clock that was set back: no reason to wait for it.
    AND sampled_at <= statement_timestamp()
)
ON CONFLICT (sampled_at) DO NOTHING
