-- A counter's latest events, in the order in which their transactions began.
-- Parameters: counter_id bigint, most bigint.
-- Returns: event_time, delta, token uuid, is_folded; newest first.
-- Index: counters_event_unfolded, read backwards from its end: `most` entries a partition.
SELECT event.event_time,
       event.delta,
       event.token,
       pg_visible_in_snapshot(event.xid, coalesce(rollup.watermark, '1:1:'))
FROM (
  SELECT counter_id, event_time, delta, token, xid
  FROM counters_event
  WHERE counter_id = %(counter_id)s::bigint
  ORDER BY xid DESC
  LIMIT %(most)s::bigint
) AS event
LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = event.counter_id
ORDER BY event.xid DESC
