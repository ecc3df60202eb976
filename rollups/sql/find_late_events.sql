-- Tells whether events were added to a partition after inspect_partition.sql read it.
-- Names put in: {partition} identifier; literals: {snapshot} of the inspection, and {counters}
--   and {events}, the numbers that it found.
-- Parameters: none. The partition is locked against inserts by this transaction.
-- Returns one row: is_changed boolean.
--
-- Why nothing else can have changed, and why this is exact:
-- * The lock is granted when all transactions that added to the partition have ended, and blocks
--   later ones. This statement's snapshot is newer than the lock, so it sees all events.
-- * An event carries the id of its own transaction. If the inspection did not see the event, its
--   transaction was committed after the inspection's snapshot, which does not cover the id. If
--   the inspection saw the event, its snapshot covers the id.
-- * Watermarks never move back, so a folded event stays folded. The buckets change only with a
--   fold of an event that the inspection did not see, or with a repair, which keeps right sums.
-- * A deletion removes a counter's events together with its buckets. A partition that is attached
--   meanwhile is not this one. A longer retention that is set meanwhile comes too late, as one that
--   is set after the closing does.
--
-- Adds into this partition wait meanwhile. Index: counters_event_unfolded; two look-ups for each
--   counter, or, if there are many counters, one pass that compares a number in each row.
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
  -- Every transaction with a lower id had ended before the snapshot.
  WHERE event.xid >= pg_snapshot_xmin({snapshot}::pg_snapshot)
    AND NOT pg_visible_in_snapshot(event.xid, {snapshot}::pg_snapshot)
) END
