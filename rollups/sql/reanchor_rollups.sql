-- Recounts counters after a restore into another cluster, and gives them fresh watermarks.
-- Parameters: counter_ids bigint[]; their rollups are locked by this transaction.
-- Returns: counter_id, events (in the recount), one row a rollup.
-- Indexes: the primary keys of rollup, counter, bucket, last write; counters_event_unfolded.
--
-- Why it is exact while writers go on: everything below has one snapshot S, which it stores as
-- the watermark. What S sees is recounted, so S must cover it; what S does not see, it must
-- not. For transactions of this cluster that is what S is. An event or last write that S sees
-- and whose id S does not cover came with the dump. Such an event gets the id 3, the first
-- that there is, which every snapshot covers; one whose old id S happens to cover may keep it.
-- Without this, the cluster would come to those ids one day and count their events twice.
WITH foreign_event AS (
  UPDATE counters_event
  SET xid = '3'
  WHERE counter_id = ANY (%(counter_ids)s::bigint[])
    AND NOT pg_visible_in_snapshot(xid, pg_current_snapshot())
),
foreign_write AS MATERIALIZED (
  SELECT counter_id, slot, xid
  FROM counters_lastwrite
  WHERE counter_id = ANY (%(counter_ids)s::bigint[])
    AND NOT pg_visible_in_snapshot(xid, pg_current_snapshot())
),
forgotten AS (
  -- A writer may have taken over the row meanwhile: then it has another id, and stays.
  DELETE FROM counters_lastwrite AS last_write
  USING foreign_write
  WHERE last_write.counter_id = foreign_write.counter_id
    AND last_write.slot = foreign_write.slot
    AND last_write.xid = foreign_write.xid
),
recounted AS MATERIALIZED (
  SELECT part.counter_id, part.bucket_at, sum(part.delta) AS delta, sum(part.events) AS events
  FROM (
    SELECT event.counter_id,
           date_trunc(namespace.bucket_size, event.event_time, 'UTC') AS bucket_at,
           event.delta,
           1 AS events
    FROM counters_event AS event
    JOIN counters_counter AS counter ON counter.id = event.counter_id
    JOIN counters_namespace AS namespace ON namespace.id = counter.namespace_id
    WHERE event.counter_id = ANY (%(counter_ids)s::bigint[])
    UNION ALL
    SELECT counter_id, bucket_at, closed_delta, closed_events
    FROM rollups_bucket
    WHERE counter_id = ANY (%(counter_ids)s::bigint[]) AND closed_events IS NOT NULL
  ) AS part
  GROUP BY 1, 2
),
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
)
UPDATE rollups_rollup AS rollup
SET total = coalesce(whole.delta, 0),
    events = coalesce(whole.events, 0),
    watermark = pg_current_snapshot(),
    watermark_at = statement_timestamp(),
    cluster = rollups_cluster()
FROM unnest(%(counter_ids)s::bigint[]) AS wanted (counter_id)
LEFT JOIN (
  SELECT counter_id, sum(delta) AS delta, sum(events) AS events
  FROM recounted
  GROUP BY counter_id
) AS whole ON whole.counter_id = wanted.counter_id
WHERE rollup.counter_id = wanted.counter_id
RETURNING rollup.counter_id, rollup.events
