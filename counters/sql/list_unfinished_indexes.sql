-- What a rebuild that was broken off has left on a partition: no statement uses it.
-- Parameters: partition text.
-- Returns: index, the name of each. Reads the catalogue.
SELECT index_class.relname
FROM pg_index
JOIN pg_class AS index_class ON index_class.oid = pg_index.indexrelid
WHERE pg_index.indrelid = to_regclass(%(partition)s::text)
  AND NOT pg_index.indisvalid
  -- PostgreSQL's own names for them.
  AND index_class.relname ~ '_cc(new|old)[0-9]*$'
