-- Sums one counter's folded events in a span of time.
-- Parameters: namespace_id bigint, name text,
--   since timestamptz, until timestamptz (exclusive); each null for an open end.
-- Returns: one row, or none if the counter does not exist: counter_id, delta, events, as_of,
--   pending (these two as read_eventual.sql).
-- Indexes: as read_eventual.sql; the bucket's primary key.
SELECT counter.id,
       coalesce(inside.delta, 0),
       coalesce(inside.events, 0),
       CASE WHEN waiting.written_at IS NULL AND NOT pg_is_in_recovery() THEN now()
            WHEN rollup.watermark_at <= clock_timestamp()
              THEN least(rollup.watermark_at, waiting.first_written_at)
            ELSE least(counter.created_at, waiting.first_written_at, now()) END,
       waiting.written_at IS NOT NULL
FROM counters_counter AS counter
LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = counter.id
LEFT JOIN LATERAL (
  SELECT max(last_write.written_at) AS written_at,
         min(last_write.written_at) AS first_written_at
  FROM counters_lastwrite AS last_write
  WHERE last_write.counter_id = counter.id
    AND (
      NOT pg_visible_in_snapshot(last_write.xid, coalesce(rollup.watermark, '1:1:'))
      OR NOT (SELECT rollups_is_anchored())
    )
) AS waiting ON true
LEFT JOIN LATERAL (
  SELECT sum(bucket.delta) AS delta, sum(bucket.events)::bigint AS events
  FROM rollups_bucket AS bucket
  WHERE bucket.counter_id = counter.id
    AND bucket.bucket_at >= coalesce(%(since)s::timestamptz, '-infinity')
    AND bucket.bucket_at < coalesce(%(until)s::timestamptz, 'infinity')
) AS inside ON true
WHERE counter.namespace_id = %(namespace_id)s::bigint AND counter.name = %(name)s::text
