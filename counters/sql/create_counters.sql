-- Creates the counters that are missing; those that are there stay as they are.
-- Parameters: namespace_ids bigint[], names text[] (pairs).
-- Sorted, so that two writers of the same new names take them in the same order.
INSERT INTO counters_counter (namespace_id, name)
SELECT namespace.id, wanted.name
FROM unnest(%(namespace_ids)s::bigint[], %(names)s::text[]) AS wanted (namespace_id, name)
JOIN counters_namespace AS namespace ON namespace.id = wanted.namespace_id
ORDER BY namespace.id, wanted.name
-- One that is being deleted is waited for, and then no longer there.
FOR KEY SHARE OF namespace
ON CONFLICT (namespace_id, name) DO NOTHING
