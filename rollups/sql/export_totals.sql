-- Every counter's folded total, for `export`.
-- Parameters: namespace_id bigint (NULL: all namespaces).
-- Returns, by namespace and name: namespace, name, count, events, as_of (NULL: never
--   folded), pending, last_write_at.
-- Cost: one pass over counters and rollups; a look at the few last writes.
SELECT namespace.name,
       counter.name,
       coalesce(rollup.total, 0),
       coalesce(rollup.events, 0),
       rollup.watermark_at,
       waiting.counter_id IS NOT NULL,
       greatest(rollup.last_write_at, waiting.written_at)
FROM counters_counter AS counter
JOIN counters_namespace AS namespace ON namespace.id = counter.namespace_id
LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = counter.id
LEFT JOIN (
  SELECT last_write.counter_id, max(last_write.written_at) AS written_at
  FROM counters_lastwrite AS last_write
  LEFT JOIN rollups_rollup AS covering ON covering.counter_id = last_write.counter_id
  WHERE NOT pg_visible_in_snapshot(last_write.xid, coalesce(covering.watermark, '1:1:'))
     OR NOT (SELECT rollups_is_anchored())  -- see read_eventual.sql
  GROUP BY last_write.counter_id
) AS waiting ON waiting.counter_id = counter.id
WHERE %(namespace_id)s::bigint IS NULL OR counter.namespace_id = %(namespace_id)s::bigint
ORDER BY namespace.name, counter.name
