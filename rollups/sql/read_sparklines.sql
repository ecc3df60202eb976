-- What came to some counters in each hour of the last while.
-- Parameters: counter_ids bigint[], since timestamptz.
-- Returns: counter_id, at timestamptz (the hour), delta, events; hours without any are left out.
-- Index: the bucket's primary key.
SELECT counter_id, date_trunc('hour', bucket_at, 'UTC') AS at, sum(delta), sum(events)::bigint
FROM rollups_bucket
WHERE counter_id = ANY (%(counter_ids)s::bigint[]) AND bucket_at >= %(since)s::timestamptz
GROUP BY counter_id, at
