-- Finds out whether events came into a partition since inspect_partition.sql read it.
-- Names put in: {partition} identifier; literals: {snapshot}, in which that one read, and
--   {counters} and {events}, how many it found.
-- Parameters: none. The partition is locked against inserts by this transaction.
-- Returns one row: is_changed boolean.
--
-- Why this is all that can have changed, and why it is exact:
-- * The lock waits for every transaction that has added to the partition, and holds up later
--   ones. This statement's snapshot is newer than the lock: it sees all events that there are.
-- * An event carries the id of its own transaction. One that the inspection did not see was
--   committed after its snapshot, so that snapshot does not cover its id. One that it saw,
--   it covers.
-- * Watermarks never move back, so what was folded is folded. The buckets change with a fold of
--   an event that the inspection did not see, or with a repair, which keeps their sums where
--   these are right.
-- * Counters that were deleted take their events and buckets along. A partition that is
--   attached is a new one. A namespace that is given a longer retention meanwhile comes too
--   late, as if it had been changed after the closing.
--
-- Adds into this partition wait meanwhile. Index: counters_event_unfolded; two look-ups for each
--   counter, or where its counters are many, one pass that compares a number with each row's.
SELECT CASE WHEN {counters}::bigint * 30 < {events}::bigint THEN (
  WITH RECURSIVE held (counter_id) AS (
    (SELECT counter_id FROM {partition} ORDER BY counter_id LIMIT 1)
    UNION ALL
    SELECT (
      SELECT event.counter_id
      FROM {partition} AS event
      WHERE event.counter_id > held.counter_id
      ORDER BY event.counter_id
      LIMIT 1
    )
    FROM held
    WHERE held.counter_id IS NOT NULL
  )
  SELECT EXISTS (
    SELECT
    FROM held
    CROSS JOIN LATERAL (
      SELECT
      FROM {partition} AS event
      WHERE event.counter_id = held.counter_id
        AND event.xid >= pg_snapshot_xmin({snapshot}::pg_snapshot)
        AND NOT pg_visible_in_snapshot(event.xid, {snapshot}::pg_snapshot)
      LIMIT 1
    ) AS late
  )
) ELSE EXISTS (
  SELECT
  FROM {partition} AS event
  -- Every id below had ended before the snapshot.
  WHERE event.xid >= pg_snapshot_xmin({snapshot}::pg_snapshot)
    AND NOT pg_visible_in_snapshot(event.xid, {snapshot}::pg_snapshot)
) END
