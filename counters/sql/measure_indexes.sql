-- The indexes of partitions of counters_event that are worth rebuilding.
-- Parameters: partitions text[], least_bytes bigint, bloated double precision (how many times its
--   rebuilt size an index must have).
-- Returns: partition, index, bytes, events (the planner's estimate, which a rebuild renews); in
--   the order of the partitions.
-- What an entry takes once rebuilt: a header of 8 bytes, 32 of columns in either index, 4 for
--   its pointer, on pages that are filled to nine tenths. Reads the catalogue only.
SELECT wanted.name, index_class.relname, size.bytes, index_class.reltuples::bigint
FROM unnest(%(partitions)s::text[]) WITH ORDINALITY AS wanted (name, position)
JOIN pg_class AS partition ON partition.oid = to_regclass(wanted.name)
JOIN pg_index ON pg_index.indrelid = partition.oid AND pg_index.indisvalid
JOIN pg_class AS index_class ON index_class.oid = pg_index.indexrelid
CROSS JOIN LATERAL (SELECT pg_relation_size(index_class.oid) AS bytes) AS size
-- Never analysed, or empty: nothing is known.
WHERE partition.reltuples > 0
  AND size.bytes >= %(least_bytes)s::bigint
  AND size.bytes > %(bloated)s::double precision * index_class.reltuples::bigint * 44 / 0.9
ORDER BY wanted.position, index_class.relname
