-- Every counter's sums per bucket, for `export`.
-- Parameters: namespace_id bigint (NULL: all namespaces), since and until timestamptz (NULL:
--   no bound; until is exclusive).
-- Returns, by namespace, name and time: namespace, name, at, delta, events.
-- Index: the bucket's primary key, in its order a counter.
SELECT namespace.name, counter.name, bucket.bucket_at, bucket.delta, bucket.events
FROM counters_counter AS counter
JOIN counters_namespace AS namespace ON namespace.id = counter.namespace_id
JOIN rollups_bucket AS bucket ON bucket.counter_id = counter.id
WHERE (%(namespace_id)s::bigint IS NULL OR counter.namespace_id = %(namespace_id)s::bigint)
  AND (%(since)s::timestamptz IS NULL OR bucket.bucket_at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR bucket.bucket_at < %(until)s::timestamptz)
ORDER BY namespace.name, counter.name, bucket.bucket_at
