-- The first event of each token on its counter, for the answers to repeats.
-- Parameters: arrays of one length: counter_ids bigint[], tokens uuid[],
--   sinces timestamptz[], untils timestamptz[] (equal where the event time is known).
-- Returns: one row an element, in order: event_time, delta; NULLs where there is none.
-- Index: the event's primary key, in the partitions between the two times.
SELECT first.event_time, first.delta
FROM unnest(
  %(counter_ids)s::bigint[], %(tokens)s::uuid[],
  %(sinces)s::timestamptz[], %(untils)s::timestamptz[]
) WITH ORDINALITY AS wanted (counter_id, token, since, until, position)
LEFT JOIN LATERAL (
  SELECT event.event_time, event.delta
  FROM counters_event AS event
  WHERE event.counter_id = wanted.counter_id
    AND event.token = wanted.token
    AND event.event_time BETWEEN wanted.since AND wanted.until
  ORDER BY event.event_time
  LIMIT 1
) AS first ON true
ORDER BY wanted.position
