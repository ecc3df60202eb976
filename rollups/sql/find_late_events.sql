-- Finds out whether events came into a partition since inspect_partition.sql read it.
-- Names put in: {partition} identifier, {snapshot} literal (the one in which that one read).
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
-- Index: none; one pass that compares a number with each row's, for as long as adds into this
--   partition wait. PostgreSQL 18 skips through counters_event_unfolded where counters are few.
SELECT EXISTS (
  SELECT
  FROM {partition} AS event
  -- Every id below has ended before the snapshot.
  WHERE event.xid >= pg_snapshot_xmin({snapshot}::pg_snapshot)
    AND NOT pg_visible_in_snapshot(event.xid, {snapshot}::pg_snapshot)
)
