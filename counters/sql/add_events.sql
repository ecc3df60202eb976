-- Appends a batch of events with tokens, all or none, and marks their counters as pending.
-- Parameters: arrays of one length, an element an event: namespace_ids bigint[],
--   names text[], tokens uuid[], event_times timestamptz[], deltas bigint[],
--   accept_pasts interval[] (NULL where the token fixes the event time; else the event
--   time is now, and the token is good for this long). No element is a duplicate of another.
-- Returns: one row an event, in order: counter_id (NULL: that counter does not exist yet,
--   and nothing of the batch is written), is_new.
-- Raises: CN409, from counters_check_repeat, where a token was used with another delta.
-- Indexes: counters_counter_namespace_name; counters_event_token; the primary keys of claim and last
--   write.
-- Everything is inserted in the order of its key, so batches cannot deadlock each other.
WITH input AS MATERIALIZED (
  SELECT i.position, counter.id AS counter_id, i.token, i.event_time, i.delta, i.accept_past
  FROM unnest(
    %(namespace_ids)s::bigint[], %(names)s::text[], %(tokens)s::uuid[],
    %(event_times)s::timestamptz[], %(deltas)s::bigint[], %(accept_pasts)s::interval[]
  ) WITH ORDINALITY
    AS i (namespace_id, name, token, event_time, delta, accept_past, position)
  LEFT JOIN counters_counter AS counter
    ON counter.namespace_id = i.namespace_id AND counter.name = i.name
),
complete AS MATERIALIZED (
  SELECT * FROM input
  WHERE NOT EXISTS (SELECT FROM input AS unknown WHERE unknown.counter_id IS NULL)
),
claim AS (
  INSERT INTO counters_claim (counter_id, token, event_time, delta, expires_at)
  SELECT complete.counter_id, complete.token, complete.event_time, complete.delta,
         complete.event_time + complete.accept_past
  FROM complete
  -- The first use, by the rule of find_first_events.sql: a claim that has not expired, or else
  -- the earliest event in the accept window, which came with its own time.
  LEFT JOIN LATERAL (
    SELECT known.delta
    FROM counters_claim AS known
    WHERE known.counter_id = complete.counter_id
      AND known.token = complete.token
      AND known.expires_at >= complete.event_time
    OFFSET 0
  ) AS claimed ON true
  LEFT JOIN LATERAL (
    SELECT known.delta
    FROM counters_event AS known
    -- `+ 0` makes the planner use the index by token. By the index by counter it would read
    -- all events of the counter for each token.
    WHERE known.counter_id + 0 = complete.counter_id
      AND known.token = complete.token
      AND known.event_time >= complete.event_time - complete.accept_past
      AND claimed.delta IS NULL
    ORDER BY known.event_time
    LIMIT 1
  ) AS earliest ON true
  WHERE complete.accept_past IS NOT NULL
    AND (
      coalesce(claimed.delta, earliest.delta) IS NULL
      -- Never returns false: it raises for another delta.
      OR NOT counters_check_repeat(
        complete.counter_id, complete.token, complete.event_time,
        coalesce(claimed.delta, earliest.delta), complete.delta)
    )
  ORDER BY complete.counter_id, complete.token
  -- A claim that has expired is spent: its token may count again.
  -- At the instant of its end it is still valid, as its event is in the look-up above.
  ON CONFLICT (counter_id, token) DO UPDATE SET
    event_time = excluded.event_time, delta = excluded.delta, expires_at = excluded.expires_at
  WHERE counters_claim.expires_at < excluded.event_time
     OR NOT counters_check_repeat(
       counters_claim.counter_id, counters_claim.token, excluded.event_time,
       counters_claim.delta, excluded.delta)
  RETURNING counter_id, token, event_time, delta
),
event AS (
  INSERT INTO counters_event (counter_id, token, event_time, delta)
  SELECT counter_id, token, event_time, delta
  FROM (
    SELECT counter_id, token, event_time, delta FROM complete WHERE accept_past IS NULL
    UNION ALL
    SELECT counter_id, token, event_time, delta FROM claim
  ) AS appended
  ORDER BY counter_id, token, event_time
  -- Never updates: the check is true for a duplicate and raises for a conflict, also where
  -- the first use was committed after this statement began.
  ON CONFLICT (token, counter_id, event_time) WHERE token IS NOT NULL
  DO UPDATE SET delta = counters_event.delta
  WHERE NOT counters_check_repeat(
    counters_event.counter_id, counters_event.token, counters_event.event_time,
    counters_event.delta, excluded.delta)
  RETURNING counter_id, token, event_time
),
last_write AS (
  INSERT INTO counters_lastwrite
    (counter_id, slot, written_at, pending_since, oldest_event_time, newest_event_time)
  SELECT counter_id, pg_backend_pid(), statement_timestamp(), statement_timestamp(),
         min(event_time), max(event_time)
  FROM event
  GROUP BY counter_id
  ON CONFLICT (counter_id, slot) DO UPDATE SET
    written_at = excluded.written_at,
    oldest_event_time
      = least(counters_lastwrite.oldest_event_time, excluded.oldest_event_time),
    newest_event_time
      = greatest(counters_lastwrite.newest_event_time, excluded.newest_event_time),
    xid = excluded.xid
)
SELECT input.counter_id, event.counter_id IS NOT NULL AS is_new
FROM input
LEFT JOIN event USING (counter_id, token, event_time)
ORDER BY input.position
