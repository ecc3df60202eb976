-- Recounts counters from their events, in the snapshot in which it reads their rollups.
-- Parameters: after bigint (counter ids above this one), most bigint,
--   namespace_id bigint (NULL: all namespaces).
-- Returns: one row a counter, by counter_id: counter_id, namespace, name, total, events,
--   recounted total and events, the buckets' total and events; the number of buckets that
--   differ, and of events that no fold would find.
-- Raises: as read_accurate.sql.
-- What retention has closed stands in the buckets; with the kept events it is the recount.
-- One statement, one snapshot: a rollup holds exactly the events that its watermark covers,
-- so pending events, and events folded meanwhile, are never a difference. Buckets are compared at
-- the namespace's bucket size: buckets of a finer size that it had before are summed up.
-- Indexes: the primary keys of counter, rollup, bucket, last write; counters_event_unfolded.
WITH audited AS MATERIALIZED (
  SELECT counter.id AS counter_id, namespace.name AS namespace, namespace.bucket_size,
         counter.name, coalesce(rollup.total, 0) AS total,
         coalesce(rollup.events, 0) AS events,
         coalesce(rollup.watermark, '1:1:') AS watermark
  FROM counters_counter AS counter
  JOIN counters_namespace AS namespace ON namespace.id = counter.namespace_id
  LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = counter.id
  WHERE counter.id > %(after)s::bigint
    AND (SELECT rollups_check_anchor())
    AND rollups_refuse_if(rollup.cluster <> (SELECT rollups_cluster()))
    AND (
      %(namespace_id)s::bigint IS NULL OR counter.namespace_id = %(namespace_id)s::bigint
    )
  ORDER BY counter.id
  LIMIT %(most)s::bigint
)
SELECT audited.counter_id, audited.namespace, audited.name, audited.total, audited.events,
       recount.total, recount.events, recount.buckets_total, recount.buckets_events,
       recount.buckets_off, unseen.events
FROM audited
CROSS JOIN LATERAL (
  SELECT coalesce(sum(bucket.recounted_delta), 0) AS total,
         coalesce(sum(bucket.recounted_events), 0)::bigint AS events,
         coalesce(sum(bucket.delta), 0) AS buckets_total,
         coalesce(sum(bucket.events), 0)::bigint AS buckets_events,
         count(*) FILTER (
           WHERE bucket.recounted_delta <> bucket.delta
              OR bucket.recounted_events <> bucket.events
         ) AS buckets_off
  FROM (
    SELECT part.bucket_at,
           sum(part.recounted_delta) AS recounted_delta,
           sum(part.recounted_events) AS recounted_events,
           sum(part.delta) AS delta,
           sum(part.events) AS events
    FROM (
      SELECT date_trunc(audited.bucket_size, event_time, 'UTC') AS bucket_at,
             sum(delta) AS recounted_delta, count(*) AS recounted_events,
             0 AS delta, 0 AS events
      FROM counters_event
      WHERE counter_id = audited.counter_id
        AND pg_visible_in_snapshot(xid, audited.watermark)
      GROUP BY 1
      UNION ALL
      SELECT date_trunc(audited.bucket_size, bucket_at, 'UTC'),
             coalesce(closed_delta, 0), coalesce(closed_events, 0), delta, events
      FROM rollups_bucket
      WHERE counter_id = audited.counter_id
    ) AS part
    GROUP BY 1
  ) AS bucket
) AS recount
CROSS JOIN LATERAL (
  SELECT min(oldest_event_time) AS oldest, max(newest_event_time) AS newest
  FROM counters_lastwrite
  WHERE counter_id = audited.counter_id
    AND NOT pg_visible_in_snapshot(xid, audited.watermark)
) AS waiting
-- The events that the watermark does not cover, read as in fold_events.sql. A fold reads only
-- between the times of the last writes.
CROSS JOIN LATERAL (
  SELECT count(*) AS events
  FROM (
    SELECT event_time
    FROM counters_event
    WHERE counter_id = audited.counter_id AND xid >= pg_snapshot_xmax(audited.watermark)
    UNION ALL
    SELECT event.event_time
    FROM pg_snapshot_xip(audited.watermark) AS was_open (xid)
    CROSS JOIN LATERAL (
      SELECT event_time
      FROM counters_event
      WHERE counter_id = audited.counter_id AND xid = was_open.xid
      OFFSET 0
    ) AS event
  ) AS uncovered
  WHERE waiting.oldest IS NULL
     OR uncovered.event_time NOT BETWEEN waiting.oldest AND waiting.newest
) AS unseen
ORDER BY audited.counter_id
