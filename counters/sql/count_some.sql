-- How many counters some namespaces have, up to a bound.
-- Parameters: namespace_ids bigint[], most bigint.
-- Returns: namespace_id, counters bigint (`most` where there are as many or more).
-- Cost: at most `most` entries of counters_counter_namespace_name a namespace.
SELECT wanted.namespace_id, counted.counters
FROM unnest(%(namespace_ids)s::bigint[]) AS wanted (namespace_id)
CROSS JOIN LATERAL (
  SELECT count(*) AS counters
  FROM (
    SELECT FROM counters_counter
    WHERE namespace_id = wanted.namespace_id
    LIMIT %(most)s::bigint
  ) AS found
) AS counted
