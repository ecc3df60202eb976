-- How many events PostgreSQL has inserted since its statistics began, for rates.
-- Parameters: none.
-- Returns one row: events bigint. Statistics are a second old; a dropped partition's go.
SELECT coalesce(sum(inserted.n_tup_ins), 0)::bigint
FROM pg_inherits
JOIN pg_stat_user_tables AS inserted ON inserted.relid = pg_inherits.inhrelid
WHERE pg_inherits.inhparent = 'counters_event'::regclass
