-- Sets totals and buckets of counters to what their events say.
-- Parameters: counter_ids bigint[]; their rollups are locked by this transaction.
-- Returns: counter_id, one row a repaired rollup. The watermarks stay. The events that they
--   cover are recounted. The others get a last write, so that the next fold finds all of them.
--   The buckets hold what retention has closed.
-- Indexes: the primary keys of rollup, counter, bucket, last write; counters_event_unfolded.
WITH recounted AS MATERIALIZED (
  SELECT part.counter_id, part.bucket_at, sum(part.delta) AS delta, sum(part.events) AS events
  FROM (
    SELECT rollup.counter_id,
           date_trunc(namespace.bucket_size, event.event_time, 'UTC') AS bucket_at,
           event.delta,
           1 AS events
    FROM rollups_rollup AS rollup
    JOIN counters_counter AS counter ON counter.id = rollup.counter_id
    JOIN counters_namespace AS namespace ON namespace.id = counter.namespace_id
    JOIN counters_event AS event ON event.counter_id = rollup.counter_id
      AND pg_visible_in_snapshot(event.xid, rollup.watermark)
    WHERE rollup.counter_id = ANY (%(counter_ids)s::bigint[])
    UNION ALL
    SELECT counter_id, bucket_at, closed_delta, closed_events
    FROM rollups_bucket
    WHERE counter_id = ANY (%(counter_ids)s::bigint[]) AND closed_events IS NOT NULL
  ) AS part
  GROUP BY 1, 2
),
-- A row cannot be deleted and inserted in one statement: those that stay are overwritten.
gone AS (
  DELETE FROM rollups_bucket AS bucket
  WHERE bucket.counter_id = ANY (%(counter_ids)s::bigint[])
    AND NOT EXISTS (
      SELECT FROM recounted
      WHERE recounted.counter_id = bucket.counter_id
        AND recounted.bucket_at = bucket.bucket_at
    )
),
bucketed AS (
  INSERT INTO rollups_bucket (counter_id, bucket_at, delta, events)
  SELECT counter_id, bucket_at, delta, events FROM recounted
  ON CONFLICT (counter_id, bucket_at) DO UPDATE SET
    delta = excluded.delta, events = excluded.events
),
announced AS (
  INSERT INTO counters_lastwrite
    (counter_id, slot, written_at, pending_since, oldest_event_time, newest_event_time)
  SELECT rollup.counter_id, pg_backend_pid(), statement_timestamp(), statement_timestamp(),
         min(event.event_time), max(event.event_time)
  FROM rollups_rollup AS rollup
  JOIN counters_event AS event ON event.counter_id = rollup.counter_id
    AND NOT pg_visible_in_snapshot(event.xid, rollup.watermark)
  WHERE rollup.counter_id = ANY (%(counter_ids)s::bigint[])
  GROUP BY rollup.counter_id
  ON CONFLICT (counter_id, slot) DO UPDATE SET
    written_at = excluded.written_at,
    oldest_event_time
      = least(counters_lastwrite.oldest_event_time, excluded.oldest_event_time),
    newest_event_time
      = greatest(counters_lastwrite.newest_event_time, excluded.newest_event_time),
    xid = excluded.xid
)
UPDATE rollups_rollup AS rollup
SET total = coalesce(whole.delta, 0), events = coalesce(whole.events, 0)
FROM unnest(%(counter_ids)s::bigint[]) AS wanted (counter_id)
LEFT JOIN (
  SELECT counter_id, sum(delta) AS delta, sum(events) AS events
  FROM recounted
  GROUP BY counter_id
) AS whole ON whole.counter_id = wanted.counter_id
WHERE rollup.counter_id = wanted.counter_id
RETURNING rollup.counter_id
