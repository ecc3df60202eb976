-- Appends one event without a token and marks its counter as pending.
-- Parameters, in this order: event_time timestamptz (NULL: the server's time), delta bigint,
--   namespace_id bigint, name text.
-- Returns: counter_id, event_time; no row where the counter does not exist yet (nothing is
--   written).
-- Indexes: counters_counter_namespace_name; the primary key of last write.
WITH event AS (
  INSERT INTO counters_event (counter_id, event_time, delta)
  -- In parentheses: where the driver writes the delta into the text, -2^63::bigint is -(2^63::bigint).
  SELECT id, coalesce(%s::timestamptz, statement_timestamp()), (%s)::bigint
  FROM counters_counter
  WHERE namespace_id = %s::bigint AND name = %s::text
  RETURNING counter_id, event_time
),
last_write AS (
  INSERT INTO counters_lastwrite
    (counter_id, slot, written_at, pending_since, oldest_event_time, newest_event_time)
  SELECT counter_id, pg_backend_pid(), statement_timestamp(), statement_timestamp(),
         event_time, event_time
  FROM event
  ON CONFLICT (counter_id, slot) DO UPDATE SET
    written_at = excluded.written_at,
    oldest_event_time
      = least(counters_lastwrite.oldest_event_time, excluded.oldest_event_time),
    newest_event_time
      = greatest(counters_lastwrite.newest_event_time, excluded.newest_event_time),
    xid = excluded.xid
)
SELECT counter_id, event_time FROM event
