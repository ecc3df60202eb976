-- The indexes of past partitions of counters_event that are worth rebuilding, oldest first.
-- Parameters: until timestamptz (of partitions that ended by then), least_bytes bigint,
--   airy double precision (how many times its rebuilt size an index must have).
-- Returns: partition, index, bytes, events (the planner's estimate, which a rebuild renews).
-- What an entry takes once rebuilt: a header of 8 bytes, 32 of columns in either index, 4 for
--   its pointer, on pages that are filled to nine tenths. Reads the catalogue only.
WITH partition AS (
  SELECT child.oid,
         child.relname AS name,
         child.reltuples::bigint AS events,
         regexp_match(
           pg_get_expr(child.relpartbound, child.oid),
           $$FROM \('([^']+)'\) TO \('([^']+)'\)$$
         ) AS bounds
  FROM pg_inherits
  JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
  WHERE pg_inherits.inhparent = 'counters_event'::regclass
)
SELECT partition.name, index_class.relname, size.bytes, partition.events
FROM partition
JOIN pg_index ON pg_index.indrelid = partition.oid AND pg_index.indisvalid
JOIN pg_class AS index_class ON index_class.oid = pg_index.indexrelid
CROSS JOIN LATERAL (SELECT pg_relation_size(index_class.oid) AS bytes) AS size
WHERE partition.bounds[2]::timestamptz <= %(until)s::timestamptz
  -- Never analysed, or empty: nothing is known.
  AND partition.events > 0
  AND size.bytes >= %(least_bytes)s::bigint
  AND size.bytes > %(airy)s::double precision * partition.events * 44 / 0.9
ORDER BY partition.bounds[2]::timestamptz, index_class.relname
