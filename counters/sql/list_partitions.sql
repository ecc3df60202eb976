-- The partitions of counters_event with their bounds, oldest first; not the default one.
-- Parameters: none. Reads the catalogue.
WITH partition AS (
  SELECT child.relname AS name,
         regexp_match(
           pg_get_expr(child.relpartbound, child.oid),
           $$FROM \('([^']+)'\) TO \('([^']+)'\)$$
         ) AS bounds
  FROM pg_inherits
  JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
  WHERE pg_inherits.inhparent = 'counters_event'::regclass
)
SELECT name, bounds[1]::timestamptz, bounds[2]::timestamptz
FROM partition
WHERE bounds IS NOT NULL
ORDER BY 2
