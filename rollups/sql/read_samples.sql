-- The samples of the last while, thinned: one row a step of time that has any.
-- Parameters: since timestamptz, step interval.
-- Returns: sampled_at (the last of its step), pending, lag p50, p99, max in seconds (each the
--   greatest of its step), inserted, numbers as JSON text (as of the last);
--   oldest first. (As text, because some cursors decode jsonb and others do not.)
-- Index: the sample's primary key.
SELECT max(sampled_at),
       max(pending),
       max(lag_p50_seconds),
       max(lag_p99_seconds),
       max(lag_max_seconds),
       (array_agg(inserted ORDER BY sampled_at DESC))[1],
       (array_agg(numbers ORDER BY sampled_at DESC))[1]::text
FROM rollups_sample
WHERE sampled_at >= %(since)s::timestamptz
GROUP BY date_bin(%(step)s::interval, sampled_at, 'epoch')
ORDER BY 1
