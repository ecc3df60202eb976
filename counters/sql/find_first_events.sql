-- Finds the first event of each token on its counter, for the answers to duplicates.
-- Parameters: arrays of one length: counter_ids bigint[], tokens uuid[],
--   sinces timestamptz[], untils timestamptz[] (equal where the event time is known),
--   used_ats timestamptz[] (NULL where the token fixes the event time; else the time of
--   this use: a claim that is good at that time says what the first use was).
-- Returns: one row an element, in order: event_time, delta; NULLs where there is none.
-- Index: the primary key of claim and counters_event_token, the latter in the partitions between the
--   two times.
SELECT coalesce(claim.event_time, first.event_time), coalesce(claim.delta, first.delta)
FROM unnest(
  %(counter_ids)s::bigint[], %(tokens)s::uuid[],
  %(sinces)s::timestamptz[], %(untils)s::timestamptz[], %(used_ats)s::timestamptz[]
) WITH ORDINALITY AS wanted (counter_id, token, since, until, used_at, position)
LEFT JOIN counters_claim AS claim
  ON claim.counter_id = wanted.counter_id
  AND claim.token = wanted.token
  AND claim.expires_at >= wanted.used_at
LEFT JOIN LATERAL (
  SELECT event.event_time, event.delta
  FROM counters_event AS event
  -- By the token, never by the counter: see add_events.sql.
  WHERE event.counter_id + 0 = wanted.counter_id
    AND event.token = wanted.token
    AND event.event_time BETWEEN wanted.since AND wanted.until
  ORDER BY event.event_time
  LIMIT 1
) AS first ON claim.counter_id IS NULL
ORDER BY wanted.position
