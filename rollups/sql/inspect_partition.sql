-- Reads a whole partition of events: what it holds, and what forbids closing it.
-- Names put in: {partition} identifier, {since} and {until} literals (its bounds).
-- Parameters: none. Needs no lock: find_late_events.sql looks for events that came after it.
-- Returns one row: counters, events, total; unfolded (counters with an event that their
--   watermark does not cover); different (counters whose buckets of this span do not add up
--   to its events); retention interval (the longest of their namespaces; null: no counters);
--   snapshot text (the one in which this statement read).
-- Events of counters that were deleted meanwhile are left out.
-- Indexes: one pass over the partition; the primary keys of counter, rollup, bucket.
WITH held AS (
  SELECT event.counter_id,
         sum(event.delta) AS delta,
         count(*) AS events,
         -- Without a rollup nothing is folded.
         bool_and(
           coalesce(pg_visible_in_snapshot(event.xid, rollup.watermark), false)
            -- This transaction has compared the anchor with the server.
           AND coalesce(rollup.cluster = (SELECT system_identifier FROM rollups_anchor), true)
         ) AS is_folded
  FROM {partition} AS event
  LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = event.counter_id
  GROUP BY event.counter_id
)
SELECT count(*),
       coalesce(sum(held.events), 0)::bigint,
       coalesce(sum(held.delta), 0),
       count(*) FILTER (WHERE NOT held.is_folded),
       count(*) FILTER (
         WHERE held.is_folded
           AND (held.delta, held.events) IS DISTINCT FROM (bucketed.delta, bucketed.events)
       ),
       max(namespace.retention),
       pg_current_snapshot()::text
FROM held
JOIN counters_counter AS counter ON counter.id = held.counter_id
JOIN counters_namespace AS namespace ON namespace.id = counter.namespace_id
CROSS JOIN LATERAL (
  -- Less what was closed of this span before, where events were imported into it again.
  SELECT sum(bucket.delta - coalesce(bucket.closed_delta, 0)) AS delta,
         sum(bucket.events - coalesce(bucket.closed_events, 0))::bigint AS events
  FROM rollups_bucket AS bucket
  WHERE bucket.counter_id = held.counter_id
    -- The partition's end is the first bucket of the next one.
    AND bucket.bucket_at >= {since}::timestamptz
    AND bucket.bucket_at < {until}::timestamptz
) AS bucketed
