-- Until when a namespace's events were dropped, of those that a wider window would accept again.
-- Parameters: namespace_id bigint, since timestamptz (the window's beginning).
-- Returns one row: until timestamptz; NULL where none was dropped since then.
-- Raises: 40001 if the transaction has a single snapshot and partitions changed after it.
-- Cost: the closed buckets of the namespace since then, by the primary key of bucket. For
--   only when a namespace's settings change, so seldom.
SELECT max(closing.until)
FROM rollups_closing AS closing
WHERE closing.until > %(since)s::timestamptz
  AND (SELECT rollups_check_partitions())
  AND EXISTS (
    SELECT FROM rollups_rollup AS rollup
    JOIN rollups_bucket AS bucket ON bucket.counter_id = rollup.counter_id
    WHERE rollup.namespace_id = %(namespace_id)s::bigint
      AND bucket.bucket_at >= closing.since
      AND bucket.bucket_at < closing.until
      AND bucket.closed_events > 0
  )
