-- The counters of each namespace that were written last, for `top`.
-- Parameters: most bigint (a namespace), namespace_id bigint (NULL: all namespaces).
-- Returns: counter_id, namespace, name, total, events, pending, last_write_at.
-- Indexes: rollups_rollup_by_last_write, backwards; the primary keys of counter, last write.
SELECT latest.counter_id, namespace.name, counter.name, latest.total, latest.events,
       EXISTS (
         SELECT FROM counters_lastwrite AS last_write
         WHERE last_write.counter_id = latest.counter_id
           AND NOT pg_visible_in_snapshot(last_write.xid, latest.watermark)
       ),
       latest.last_write_at
FROM counters_namespace AS namespace
CROSS JOIN LATERAL (
  SELECT counter_id, total, events, watermark, last_write_at
  FROM rollups_rollup AS rollup
  WHERE rollup.namespace_id = namespace.id AND rollup.last_write_at IS NOT NULL
  ORDER BY rollup.last_write_at DESC, rollup.counter_id DESC
  LIMIT %(most)s::bigint
) AS latest
JOIN counters_counter AS counter ON counter.id = latest.counter_id
WHERE %(namespace_id)s::bigint IS NULL OR namespace.id = %(namespace_id)s::bigint
