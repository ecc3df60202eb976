-- How far one fold may go with counters that may have more events than one fold can take.
-- Parameters: counter_ids bigint[], most bigint (events of each).
-- Returns one row a counter that has more: counter_id, bound text: the transaction id that
--   ends the part. It is one past the transaction of the event after the first `most` ones,
--   so a part makes progress however large a single transaction was, and lies above the
--   watermark's xmax. It is not above this transaction's own id, so it is not
--   above the xmax of the next statement's snapshot, and the part has no event of this transaction.
-- The rollups are locked by this transaction, so their watermarks stay as read here.
-- Cost: reads `most` entries of counters_event_unfolded for each counter.
-- The ids are in a SELECT: see fold_events.sql.
SELECT rollup.counter_id, (event.xid::text::numeric + 1)::text
FROM rollups_rollup AS rollup
JOIN (
  SELECT counter_id,
         min(oldest_event_time) AS oldest,
         max(newest_event_time) AS newest
  FROM counters_lastwrite
  WHERE counter_id = ANY ((SELECT %(counter_ids)s::bigint[])::bigint[])
  GROUP BY counter_id
) AS waiting ON waiting.counter_id = rollup.counter_id
CROSS JOIN LATERAL (
  SELECT xid
  FROM counters_event
  WHERE counter_id = rollup.counter_id
    AND xid >= pg_snapshot_xmax(rollup.watermark)
    AND xid < (SELECT pg_current_xact_id())
    AND event_time BETWEEN waiting.oldest AND waiting.newest
  ORDER BY xid
  OFFSET %(most)s::bigint
  LIMIT 1
) AS event
