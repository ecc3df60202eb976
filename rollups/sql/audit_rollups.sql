-- Recounts counters from their events, in the snapshot in which it reads their rollups.
-- Parameters: after bigint (counter ids above this one), most bigint,
--   namespace_id bigint (NULL: all namespaces).
-- Returns: one row a rollup, by counter_id: counter_id, namespace, name, total, events,
--   recounted total and events, the buckets' total and events.
-- Raises: CN503, from rollups_check_anchor, where the watermarks are of another cluster.
-- What retention has closed stands in the buckets; with the kept events it is the recount.
-- One statement, one snapshot: a rollup holds exactly the events that its watermark covers,
-- so what is pending, or folded meanwhile, is never a difference.
-- Indexes: the primary keys of rollup, counter, bucket; counters_event_unfolded.
WITH audited AS MATERIALIZED (
  SELECT rollup.counter_id, namespace.name AS namespace, counter.name, rollup.total,
         rollup.events, rollup.watermark
  FROM rollups_rollup AS rollup
  JOIN counters_counter AS counter ON counter.id = rollup.counter_id
  JOIN counters_namespace AS namespace ON namespace.id = counter.namespace_id
  WHERE rollup.counter_id > %(after)s::bigint
    AND (SELECT rollups_check_anchor())
    AND (
      %(namespace_id)s::bigint IS NULL OR rollup.namespace_id = %(namespace_id)s::bigint
    )
  ORDER BY rollup.counter_id
  LIMIT %(most)s::bigint
)
SELECT audited.counter_id, audited.namespace, audited.name, audited.total, audited.events,
       kept.total + bucketed.closed_total, kept.events + bucketed.closed_events,
       bucketed.total, bucketed.events
FROM audited
CROSS JOIN LATERAL (
  SELECT coalesce(sum(event.delta), 0) AS total, count(*) AS events
  FROM counters_event AS event
  WHERE event.counter_id = audited.counter_id
    AND pg_visible_in_snapshot(event.xid, audited.watermark)
) AS kept
CROSS JOIN LATERAL (
  SELECT coalesce(sum(bucket.delta), 0) AS total,
         coalesce(sum(bucket.events), 0)::bigint AS events,
         coalesce(sum(bucket.closed_delta), 0) AS closed_total,
         coalesce(sum(bucket.closed_events), 0)::bigint AS closed_events
  FROM rollups_bucket AS bucket
  WHERE bucket.counter_id = audited.counter_id
) AS bucketed
ORDER BY audited.counter_id
