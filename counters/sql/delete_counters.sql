-- Deletes counters with their events and claims, once their last writes are deleted.
-- Parameters: counter_ids bigint[].
-- Returns: events (deleted).
-- Indexes: counters_event_unfolded; the primary keys of claim, counter.
WITH events AS (
  DELETE FROM counters_event WHERE counter_id = ANY (%(counter_ids)s::bigint[])
  RETURNING 1
),
claims AS (
  DELETE FROM counters_claim WHERE counter_id = ANY (%(counter_ids)s::bigint[])
),
counters AS (
  DELETE FROM counters_counter WHERE id = ANY (%(counter_ids)s::bigint[])
)
SELECT count(*) FROM events
