-- The counters that were written last, of all namespaces or of one, for `top`.
-- Parameters: most bigint, namespace_id bigint (NULL: all namespaces).
-- Returns: counter_id, namespace, name, total, events, pending, last_write_at.
-- Indexes: rollups_rollup_by_last_write, backwards, alone: `most` entries a namespace; the
--   primary keys of rollup, counter, last write for `most` of these.
WITH latest AS MATERIALIZED (
  SELECT namespace.name AS namespace, written.counter_id, written.last_write_at
  FROM counters_namespace AS namespace
  CROSS JOIN LATERAL (
    SELECT counter_id, last_write_at
    FROM rollups_rollup
    WHERE namespace_id = namespace.id AND last_write_at IS NOT NULL
    ORDER BY last_write_at DESC, counter_id DESC
    LIMIT %(most)s::bigint
  ) AS written
  WHERE %(namespace_id)s::bigint IS NULL OR namespace.id = %(namespace_id)s::bigint
  ORDER BY written.last_write_at DESC, written.counter_id DESC
  LIMIT %(most)s::bigint
)
SELECT latest.counter_id, latest.namespace, found.name, found.total, found.events,
       EXISTS (
         SELECT FROM counters_lastwrite AS last_write
         WHERE last_write.counter_id = latest.counter_id
           AND (
             NOT pg_visible_in_snapshot(last_write.xid, found.watermark)
             OR NOT (SELECT rollups_is_anchored())  -- see read_eventual.sql
           )
       ),
       latest.last_write_at
FROM latest
-- A look-up for each: the planner does not know how few there are.
CROSS JOIN LATERAL (
  SELECT counter.name, rollup.total, rollup.events, rollup.watermark
  FROM rollups_rollup AS rollup
  JOIN counters_counter AS counter ON counter.id = rollup.counter_id
  WHERE rollup.counter_id = latest.counter_id
  OFFSET 0
) AS found
