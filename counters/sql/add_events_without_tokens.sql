-- Appends a batch of events without tokens, all or none, and marks their counters as pending.
-- Parameters: arrays of one length, an element an event: namespace_ids bigint[], names text[],
--   event_times timestamptz[] (NULL: the server's time), deltas bigint[].
-- Returns: one row an event, in order: counter_id (NULL: that counter does not exist yet, and
--   nothing of the batch is written), event_time.
-- Indexes: counters_counter_namespace_name; the primary key of last write.
-- Takes no lock that another add may hold: nothing here is unique across connections.
WITH input AS MATERIALIZED (
  SELECT i.position, counter.id AS counter_id,
         coalesce(i.event_time, statement_timestamp()) AS event_time, i.delta
  FROM unnest(
    %(namespace_ids)s::bigint[], %(names)s::text[],
    %(event_times)s::timestamptz[], %(deltas)s::bigint[]
  ) WITH ORDINALITY AS i (namespace_id, name, event_time, delta, position)
  LEFT JOIN counters_counter AS counter
    ON counter.namespace_id = i.namespace_id AND counter.name = i.name
),
complete AS MATERIALIZED (
  SELECT * FROM input
  WHERE NOT EXISTS (SELECT FROM input AS unknown WHERE unknown.counter_id IS NULL)
),
event AS (
  INSERT INTO counters_event (counter_id, event_time, delta)
  SELECT counter_id, event_time, delta
  FROM complete
),
last_write AS (
  INSERT INTO counters_lastwrite
    (counter_id, slot, written_at, pending_since, oldest_event_time, newest_event_time)
  SELECT counter_id, pg_backend_pid(), statement_timestamp(), statement_timestamp(),
         min(event_time), max(event_time)
  FROM complete
  GROUP BY counter_id
  ON CONFLICT (counter_id, slot) DO UPDATE SET
    written_at = excluded.written_at,
    oldest_event_time
      = least(counters_lastwrite.oldest_event_time, excluded.oldest_event_time),
    newest_event_time
      = greatest(counters_lastwrite.newest_event_time, excluded.newest_event_time),
    xid = excluded.xid
)
SELECT counter_id, event_time FROM input ORDER BY position
