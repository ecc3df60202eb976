-- Appends one event with a token of a known event time and marks its counter as pending.
-- Parameters: namespace_id bigint, name text, token uuid, event_time timestamptz,
--   delta bigint.
-- Returns: no row where the counter does not exist yet (nothing is written), else one:
--   counter_id, is_new (false: this counter has an event of that token and time already).
-- Indexes: counters_counter_namespace_name; counters_event_token; the primary key of last write.
WITH counter AS (
  SELECT id
  FROM counters_counter
  WHERE namespace_id = %(namespace_id)s::bigint AND name = %(name)s::text
),
event AS (
  INSERT INTO counters_event (counter_id, token, event_time, delta)
  -- In parentheses: where the driver writes the delta into the text, -2^63::bigint is -(2^63::bigint).
  SELECT id, %(token)s::uuid, %(event_time)s::timestamptz, (%(delta)s)::bigint
  FROM counter
  -- The same token twice at once: the second waits here for the first one's commit.
  ON CONFLICT (token, counter_id, event_time) WHERE token IS NOT NULL DO NOTHING
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
SELECT counter.id, EXISTS (SELECT FROM event) AS is_new
FROM counter
