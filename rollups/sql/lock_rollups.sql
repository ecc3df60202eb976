-- Locks the rollups of the given counters. Skips a rollup that another fold holds, and counters
-- that this transaction itself has added to, which happens only in tests that never commit: a
-- snapshot does not list its own transaction, so the watermark might cover these events although
-- no fold can count them.
-- Parameters: counter_ids bigint[].
-- Returns: counter_id, one row a locked rollup.
-- Makes PostgreSQL end the transaction if its process is silent for ten seconds: see
--   counters/db/transactions.py.
-- Raises: CN503 if the anchor, or one of these watermarks, belongs to another cluster.
-- Indexes: the primary keys of rollup and last write.
--
-- It also locks the event table and its default partition (ACCESS SHARE) until the transaction
-- ends, so that no partition is attached, filled or detached before that. The fold needs this. The
-- planner first lists the partitions and then locks them, the default one last. If a partition
-- were attached in between, and an event added to it, the fold's snapshot would cover the event,
-- but its plan would not read it. See docs/exactness.md. Every process that attaches or detaches
-- a partition takes these locks in the same order.
SELECT counter_id
FROM rollups_rollup
WHERE counter_id = ANY (%(counter_ids)s::bigint[])
  -- A subquery, so that it is asked once and not for each row.
  AND (SELECT rollups_check_anchor())
  AND rollups_refuse_if(cluster <> (SELECT rollups_cluster()))
  AND (SELECT set_config('idle_in_transaction_session_timeout', '10s', true)) IS NOT NULL
  -- Reads nothing, but PostgreSQL locks each table that a statement names.
  AND NOT EXISTS (SELECT FROM ONLY counters_event, counters_event_default WHERE false)
  AND (
    (SELECT pg_current_xact_id_if_assigned()) IS NULL
    OR NOT EXISTS (
      SELECT FROM counters_lastwrite AS own
      WHERE own.counter_id = rollups_rollup.counter_id
        AND own.xid = (SELECT pg_current_xact_id_if_assigned())
    )
  )
ORDER BY counter_id
FOR UPDATE SKIP LOCKED
