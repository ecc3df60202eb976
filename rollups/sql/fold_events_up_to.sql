-- Folds the oldest part of the pending events of counters whose rollups are locked.
-- Parameters: counter_ids bigint[], bounds text[]: for each counter the transaction id that
--   ends its part, not below its watermark's xmax nor above this transaction's own id.
-- Returns: counter_id, events (folded now), one row a rollup that was brought forward.
-- Indexes: as fold_events.sql.
--
-- As fold_events.sql, which see for why it is exact, but for two things. It leaves events
-- from the bound on. And the watermark that it stores is its own snapshot cut off at the
-- bound: what began at the bound or later is not covered, and of what began before, the
-- transactions that are in progress now are not. (Where none is, that is `bound:bound:`.)
-- What the old watermark covers is below its xmax, so below the bound, and has ended: it
-- stays covered. The watermark's time stays: the count is not complete up to a later one.
-- The ids are in a SELECT: see fold_events.sql.
WITH folding AS MATERIALIZED (
  SELECT rollup.counter_id, rollup.watermark, part.bound, namespace.bucket_size,
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
  JOIN unnest(%(counter_ids)s::bigint[], %(bounds)s::text[]::xid8[])
    AS part (counter_id, bound) ON part.counter_id = waiting.counter_id
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
      AND xid < folding.bound
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
    watermark = (
      SELECT format(
        '%%s:%%s:%%s',
        least(pg_snapshot_xmin(pg_current_snapshot()), folding.bound),
        folding.bound,
        (
          SELECT string_agg(xid::text, ',' ORDER BY xid)
          FROM pg_snapshot_xip(pg_current_snapshot()) AS xid
          WHERE xid < folding.bound
        )
      )::pg_snapshot
    ),
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
