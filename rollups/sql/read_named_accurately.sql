-- Reads the accurate counts of named counters in one snapshot; see read_accurate.sql for each part.
-- Parameters: namespace_ids bigint[], names text[] (in pairs).
-- Returns: as read_named_counters.sql; count holds every event committed before the snapshot,
--   and those of the reader's own transaction.
-- Raises: as read_accurate.sql.
-- Indexes: as read_accurate.sql, once for each name.
-- The names are in a SELECT: see fold_events.sql.
SELECT wanted.position - 1,
       counter.id,
       coalesce(rollup.total, 0) + coalesce(unfolded.delta, 0),
       CASE WHEN NOT pg_is_in_recovery() THEN now()
            WHEN rollup.watermark_at <= clock_timestamp() THEN rollup.watermark_at
            ELSE least(coalesce(counter.created_at, to_timestamp(0)), now()) END,
       waiting.written_at IS NOT NULL,
       greatest(rollup.last_write_at, waiting.written_at)
FROM unnest((SELECT %(namespace_ids)s::bigint[]), (SELECT %(names)s::text[]))
  WITH ORDINALITY AS wanted (namespace_id, name, position)
LEFT JOIN counters_counter AS counter
  ON counter.namespace_id = wanted.namespace_id AND counter.name = wanted.name
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
WHERE (SELECT rollups_check_anchor())
  AND rollups_refuse_if(rollup.cluster <> (SELECT rollups_cluster()))
