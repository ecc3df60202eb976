-- Locks the rollups of the given counters; one that another fold holds is skipped.
-- Parameters: counter_ids bigint[].
-- Returns: counter_id, one row a locked rollup.
-- Ends the transaction where its process stays silent in it for longer than ten seconds: see
--   counters/transactions.py.
-- Raises: CN503 where the anchor, or one of these watermarks, is of another cluster.
-- Index: the rollup's primary key.
--
-- It also locks the event table and its default partition (ACCESS SHARE) until the transaction
-- ends: no partition is attached, filled or detached before that. The fold needs this. The
-- planner lists the partitions first and locks them afterwards, the default one last. If one
-- were attached in between, and an event added to it, the fold's snapshot would cover the
-- event and its plan would not read it. See docs/exactness.md. In this order, because whoever
-- attaches or detaches a partition takes these locks in this order.
SELECT counter_id
FROM rollups_rollup
WHERE counter_id = ANY (%(counter_ids)s::bigint[])
  -- A subquery, so that it is asked once and not for each row.
  AND (SELECT rollups_check_anchor())
  AND rollups_refuse_if(cluster <> (SELECT rollups_cluster()))
  AND (SELECT set_config('idle_in_transaction_session_timeout', '10s', true)) IS NOT NULL
  -- Reads nothing. PostgreSQL locks each table that a statement names.
  AND NOT EXISTS (SELECT FROM ONLY counters_event, counters_event_default WHERE false)
ORDER BY counter_id
FOR UPDATE SKIP LOCKED
