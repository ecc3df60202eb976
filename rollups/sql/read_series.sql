-- A counter's sums per bucket in a span of time.
-- Parameters: counter_id bigint, bucket text (minute, hour, day),
--   since timestamptz, until timestamptz (exclusive).
-- Returns: bucket_at, delta, events; oldest first, without empty buckets.
-- Index: the bucket's primary key.
SELECT date_trunc(%(bucket)s::text, bucket_at, 'UTC') AS at, sum(delta), sum(events)::bigint
FROM rollups_bucket
WHERE counter_id = %(counter_id)s::bigint
  AND bucket_at >= %(since)s::timestamptz
  AND bucket_at < %(until)s::timestamptz
GROUP BY at
ORDER BY at
