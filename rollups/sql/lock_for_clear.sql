-- Locks a counter's rollup for a clear, making it where the counter was never folded.
-- Parameters: namespace_id bigint, name text.
-- Returns: counter_id, or no row where there is no such counter.
-- Waits for a fold or a clear of this counter that is under way. DO UPDATE, because DO
-- NOTHING would neither lock nor return a row that is there.
-- It also locks the event table and its default partition, so that the next statement reads every
-- event that was committed before it: see lock_rollups.sql.
-- Indexes: counters_counter_namespace_name; the rollup's primary key.
INSERT INTO rollups_rollup AS rollup (counter_id, namespace_id)
SELECT counter.id, counter.namespace_id
FROM counters_counter AS counter
WHERE counter.namespace_id = %(namespace_id)s::bigint AND counter.name = %(name)s::text
  AND NOT EXISTS (SELECT FROM ONLY counters_event, counters_event_default WHERE false)
-- The lock waits for a deletion of the counter, after which there is no row. It also keeps folds
-- from waiting: if this transaction inserts the rollup, a fold of this and other counters would
-- wait for its commit. prepare_fold.sql leaves out a counter that is locked like this.
FOR UPDATE OF counter
ON CONFLICT (counter_id) DO UPDATE SET namespace_id = rollup.namespace_id
RETURNING rollup.counter_id
