-- Appends one event whose token carries no time: the first use in the accept window counts.
-- Parameters: namespace_id bigint, name text, token uuid, event_time timestamptz (taken if
--   this is the first use: now), delta bigint, accept_past interval (good for this long).
-- Returns: as add_event.sql; is_new is false where the token was used on this counter.
-- Indexes: counters_counter_namespace_name; counters_event_token; the primary keys of claim and last
--   write.
-- The claim's primary key settles which of several first uses at once is the first.
WITH counter AS (
  SELECT id
  FROM counters_counter
  WHERE namespace_id = %(namespace_id)s::bigint AND name = %(name)s::text
),
claim AS (
  INSERT INTO counters_claim (counter_id, token, event_time, delta, expires_at)
  SELECT counter.id, %(token)s::uuid, %(event_time)s::timestamptz, (%(delta)s)::bigint,
         %(event_time)s::timestamptz + %(accept_past)s::interval
  FROM counter
  -- The first use may have come with a generation time, so without a claim.
  WHERE NOT EXISTS (
    SELECT FROM counters_event AS known
    -- By the token, never by the counter: see add_events.sql. And without a latest time, so
    -- that the default partition is read, too: a REPEATABLE READ snapshot sees there what was
    -- moved into a partition since.
    WHERE known.counter_id + 0 = counter.id
      AND known.token = %(token)s::uuid
      AND known.event_time >= %(event_time)s::timestamptz - %(accept_past)s::interval
  )
  -- A claim that has expired is spent: its token may count again.
  -- At the instant of its end it is still valid, as its event is in the look-up above.
  ON CONFLICT (counter_id, token) DO UPDATE SET
    event_time = excluded.event_time, delta = excluded.delta, expires_at = excluded.expires_at
  WHERE counters_claim.expires_at < excluded.event_time
  RETURNING counter_id, token, event_time, delta
),
event AS (
  INSERT INTO counters_event (counter_id, token, event_time, delta)
  SELECT counter_id, token, event_time, delta
  FROM claim
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
