-- Notes in the buckets of a span that the events of a partition are counted for good.
-- Names put in: {partition} identifier, {since} and {until} literals (its bounds).
-- Parameters: none. inspect_partition.sql has found that everything is folded and that the
--   buckets add up. So the closed share of each bucket of the span is the whole bucket. If a fold
--   has added a late event to a bucket since, find_late_events.sql finds it, and all is undone.
-- Locks these buckets until the commit; a fold of a late event waits for it.
-- Index: the bucket's primary key.
UPDATE rollups_bucket AS bucket
SET closed_delta = bucket.delta, closed_events = bucket.events
FROM (SELECT DISTINCT counter_id FROM {partition}) AS held
WHERE bucket.counter_id = held.counter_id
  -- The partition's end is the first bucket of the next one.
  AND bucket.bucket_at >= {since}::timestamptz
  AND bucket.bucket_at < {until}::timestamptz
