-- A counter's count from its rollup and the events that it does not cover, in one snapshot.
-- Parameters: namespace_id bigint, name text.
-- Returns: as read_eventual.sql; count holds every event committed before its snapshot,
--   and those of the reader's own transaction.
-- Raises: CN503 if the anchor, or the watermark, belongs to another cluster; 40001 if the
--   transaction has a single snapshot and partitions changed after it.
-- Indexes: as read_eventual.sql, and counters_event_unfolded. See fold_events.sql for why
--   the two scans read exactly the events that the watermark does not cover.
-- as_of is the transaction's beginning, and on a standby the last fold's time: see
-- read_eventual.sql.
SELECT counter.id,
       coalesce(rollup.total, 0) + coalesce(unfolded.delta, 0),
       CASE WHEN NOT pg_is_in_recovery() THEN now()
            WHEN rollup.watermark_at <= clock_timestamp() THEN rollup.watermark_at
            ELSE least(counter.created_at, now()) END,
       waiting.written_at IS NOT NULL,
       greatest(rollup.last_write_at, waiting.written_at)
FROM counters_counter AS counter
LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = counter.id
CROSS JOIN LATERAL (SELECT coalesce(rollup.watermark, '1:1:') AS watermark) AS covered
LEFT JOIN LATERAL (
  SELECT max(last_write.written_at) AS written_at,
         min(last_write.oldest_event_time) AS oldest,
         max(last_write.newest_event_time) AS newest
  FROM counters_lastwrite AS last_write
  WHERE last_write.counter_id = counter.id
    AND NOT pg_visible_in_snapshot(last_write.xid, covered.watermark)
) AS waiting ON true
LEFT JOIN LATERAL (
  SELECT sum(event.delta) AS delta
  FROM (
    SELECT delta
    FROM counters_event
    WHERE counter_id = counter.id
      AND xid >= pg_snapshot_xmax(covered.watermark)
      AND event_time BETWEEN waiting.oldest AND waiting.newest
    UNION ALL
    -- One look-up for each id; OFFSET 0 keeps it one: see fold_events.sql.
    SELECT event.delta
    FROM pg_snapshot_xip(covered.watermark) AS was_open (xid)
    CROSS JOIN LATERAL (
      SELECT delta
      FROM counters_event
      WHERE counter_id = counter.id
        AND xid = was_open.xid
        AND event_time BETWEEN waiting.oldest AND waiting.newest
      OFFSET 0
    ) AS event
  ) AS event
) AS unfolded ON waiting.written_at IS NOT NULL
WHERE counter.namespace_id = %(namespace_id)s::bigint AND counter.name = %(name)s::text
  AND (SELECT rollups_check_anchor())
  AND rollups_refuse_if(rollup.cluster <> (SELECT rollups_cluster()))
