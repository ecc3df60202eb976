-- Folds the pending events of counters whose rollups this transaction has locked.
-- Parameters: counter_ids bigint[].
-- Returns: counter_id, events (folded now), one row a rollup that was brought forward.
-- Indexes: counters_event_unfolded; the primary keys of last write, rollup, bucket.
--
-- Why it is exact:
-- * The rows were locked by an EARLIER statement, so this one's snapshot is newer than
--   that of the last fold of each counter, and its watermark is read as that fold left it.
-- * An event is not covered by a watermark W exactly when its transaction was not yet begun
--   at W (xid >= xmax) or was then in progress (xid in xip). The two index scans read these
--   and nothing else, so a transaction that stays open for hours costs other folds nothing.
-- * The statement that sums stores its own snapshot: what it saw is what is covered.
-- * An event and its last write are committed together, and a last write is removed only
--   when its rollup's watermark covers it. So the event times of the last writes that this
--   snapshot sees span all events that it must fold; other partitions are never opened.
-- * The transaction of a fold adds no events: fold() refuses to run in a caller's block, except
--   within a test that never commits. There lock_rollups.sql leaves out the counters that the
--   test added to.
--
-- Raises: CN503 if rows belong to another cluster. A last write that the snapshot sees was
-- committed before the snapshot, so the snapshot covers its id. A watermark that was stored before
-- the snapshot is not ahead of it. If one of the two is not so, the id belongs to another cluster.
--
-- Why the ids are in a SELECT, here and where this is named: the planner then does not see how
-- many they are. A list of fewer than ten it would take for cheaper than its generic plan, and
-- plan the statement again each time, which is half of a small fold.
WITH folding AS MATERIALIZED (
  SELECT rollup.counter_id, rollup.watermark, namespace.bucket_size,
         waiting.oldest, waiting.newest, waiting.last_write_at
  FROM (
    SELECT counter_id,
           min(oldest_event_time) AS oldest,
           max(newest_event_time) AS newest,
           max(written_at) AS last_write_at,
           bool_or(
             NOT pg_visible_in_snapshot(xid, (SELECT pg_current_snapshot()))
           ) AS is_foreign
    FROM counters_lastwrite
    WHERE counter_id = ANY ((SELECT %(counter_ids)s::bigint[])::bigint[])
    GROUP BY counter_id
  ) AS waiting
  JOIN rollups_rollup AS rollup ON rollup.counter_id = waiting.counter_id
  JOIN counters_counter AS counter ON counter.id = waiting.counter_id
  JOIN counters_namespace AS namespace ON namespace.id = counter.namespace_id
  WHERE rollups_refuse_if(
    waiting.is_foreign
    OR pg_snapshot_xmax(rollup.watermark) > pg_snapshot_xmax((SELECT pg_current_snapshot()))
  )
),
summed AS MATERIALIZED (
  SELECT folding.counter_id,
         date_trunc(folding.bucket_size, event.event_time, 'UTC') AS bucket_at,
         sum(event.delta) AS delta,
         count(*) AS events
  FROM folding
  CROSS JOIN LATERAL (
    SELECT event_time, delta, xid
    FROM counters_event
    WHERE counter_id = folding.counter_id
      AND xid >= pg_snapshot_xmax(folding.watermark)
      AND event_time BETWEEN folding.oldest AND folding.newest
    UNION ALL
    -- One look-up for each id; OFFSET 0 keeps it one. Else the planner, which cannot know
    -- how few they are, may read every event the counter ever had, and join them.
    SELECT event.event_time, event.delta, event.xid
    FROM pg_snapshot_xip(folding.watermark) AS was_open (xid)
    CROSS JOIN LATERAL (
      SELECT event_time, delta, xid
      FROM counters_event
      WHERE counter_id = folding.counter_id
        AND xid = was_open.xid
        AND event_time BETWEEN folding.oldest AND folding.newest
      OFFSET 0
    ) AS event
  ) AS event
  GROUP BY 1, 2
),
bucketed AS (
  INSERT INTO rollups_bucket (counter_id, bucket_at, delta, events)
  SELECT counter_id, bucket_at, delta, events
  FROM summed
  ON CONFLICT (counter_id, bucket_at) DO UPDATE SET
    delta = rollups_bucket.delta + excluded.delta,
    events = rollups_bucket.events + excluded.events
)
UPDATE rollups_rollup AS rollup
SET total = rollup.total + coalesce(folded.delta, 0),
    events = rollup.events + coalesce(folded.events, 0),
    watermark = pg_current_snapshot(),
    watermark_at = statement_timestamp(),
    cluster = (SELECT rollups_cluster()),
    last_write_at = greatest(rollup.last_write_at, folding.last_write_at)
FROM folding
LEFT JOIN (
  SELECT counter_id, sum(delta) AS delta, sum(events) AS events
  FROM summed
  GROUP BY counter_id
) AS folded ON folded.counter_id = folding.counter_id
WHERE rollup.counter_id = folding.counter_id
RETURNING rollup.counter_id, coalesce(folded.events, 0)::bigint
