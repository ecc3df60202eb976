-- Counters of any namespace whose name begins so, the first few of each namespace.
-- Parameters: prefix text, most bigint (of each namespace, and of all).
-- Returns: counter_id; by namespace, then by name.
-- Cost: one look into counters_counter_namespace_name for each namespace, and `most` entries.
SELECT found.id
FROM counters_namespace AS namespace
CROSS JOIN LATERAL (
  SELECT counter.id, counter.name
  FROM counters_counter AS counter
  WHERE counter.namespace_id = namespace.id
    -- Not LIKE: a prepared plan could not look for it in the index. The end is the last name
    -- that begins so, as long as the longest.
    AND counter.name BETWEEN %(prefix)s::text AND %(prefix)s::text || repeat(chr(1114111), 200)
  ORDER BY counter.name
  LIMIT %(most)s::bigint
) AS found
ORDER BY namespace.name, found.name
LIMIT %(most)s::bigint
