-- Which of the given counters have anything to fold; makes the rollups that they lack.
-- Parameters: counter_ids bigint[].
-- Returns one row a counter with last writes: counter_id; lag interval, as in
--   select_pending.sql; failed_before: it has a failure on record. One that is quarantined
--   until later is left out.
-- Its own transaction, so that two folders of a new counter wait for a moment, not a fold.
-- Index: the primary keys of last write, counter, rollup and failure.
-- The ids are in a SELECT: see fold_events.sql.
WITH pending AS MATERIALIZED (
  SELECT last_write.counter_id, counter.namespace_id,
         min(last_write.pending_since) AS pending_since
  FROM counters_lastwrite AS last_write
  JOIN counters_counter AS counter ON counter.id = last_write.counter_id
  WHERE last_write.counter_id = ANY ((SELECT %(counter_ids)s::bigint[])::bigint[])
  GROUP BY last_write.counter_id, counter.namespace_id
),
created AS (
  INSERT INTO rollups_rollup (counter_id, namespace_id)
  SELECT counter.id, counter.namespace_id
  FROM pending
  JOIN counters_counter AS counter ON counter.id = pending.counter_id
  WHERE NOT EXISTS (
    SELECT FROM rollups_rollup AS rollup WHERE rollup.counter_id = pending.counter_id
  )
  ORDER BY counter.id
  -- Leaves out a counter that is being deleted, because its rollup would break the foreign key;
  -- and a counter that a clear has locked, because the fold would wait for its uncommitted rollup.
  FOR KEY SHARE OF counter SKIP LOCKED
  ON CONFLICT (counter_id) DO NOTHING
)
SELECT pending.counter_id,
       greatest(since.age, -since.age),
       failure.counter_id IS NOT NULL
FROM pending
LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = pending.counter_id
LEFT JOIN rollups_failure AS failure ON failure.counter_id = pending.counter_id
CROSS JOIN LATERAL (
  SELECT statement_timestamp() - greatest(
           pending.pending_since,
           CASE WHEN rollup.watermark_at <= statement_timestamp()
             THEN rollup.watermark_at
           END
         ) AS age
) AS since
WHERE failure.next_try_at IS NULL
  OR failure.next_try_at <= statement_timestamp()
  OR failure.failed_at > statement_timestamp()
