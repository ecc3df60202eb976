-- The partitions of counters_event with their size, oldest first; the default one last.
-- Parameters: none.
-- Returns: name, since, until (NULL for the default one), bytes (indexes included), rows
--   (the planner's estimate; NULL where it has none yet). Reads the catalogue.
WITH partition AS (
  SELECT child.oid,
         child.relname AS name,
         child.reltuples,
         regexp_match(
           pg_get_expr(child.relpartbound, child.oid),
           $$FROM \('([^']+)'\) TO \('([^']+)'\)$$
         ) AS bounds
  FROM pg_inherits
  JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
  WHERE pg_inherits.inhparent = 'counters_event'::regclass
)
SELECT name,
       bounds[1]::timestamptz,
       bounds[2]::timestamptz,
       pg_total_relation_size(oid),
       CASE WHEN reltuples >= 0 THEN reltuples::bigint END
FROM partition
ORDER BY 2 NULLS LAST
