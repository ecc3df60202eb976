-- Finds a counter that has an event in a partition and whose namespace keeps it for longer.
-- Names put in: {partition} identifier.
-- Parameters: age interval (how long ago the partition ended, less the margin), likely bigint[]
--   (counters that are tried first).
-- Returns: counter_id, retention of the first one found; no row if the partition may go.
-- Takes no lock that conflicts with an add, a fold or a deletion.
-- Indexes: counters_counter_namespace_name, counters_event_unfolded. One look-up for each counter
--   of a namespace with a longer retention, until one is found; the partition is never read as a
--   whole. Best-effort namespaces have no counters here.
SELECT candidate.counter_id, candidate.retention
FROM (
  SELECT counter.id AS counter_id, namespace.retention
  FROM unnest(%(likely)s::bigint[]) AS likely (counter_id)
  JOIN counters_counter AS counter ON counter.id = likely.counter_id
  JOIN counters_namespace AS namespace ON namespace.id = counter.namespace_id
  WHERE namespace.retention > %(age)s::interval
  UNION ALL
  SELECT counter.id, namespace.retention
  FROM counters_namespace AS namespace
  CROSS JOIN LATERAL (
    SELECT id
    FROM counters_counter
    WHERE namespace_id = namespace.id
    -- The order makes the planner use the index, so that it reads no counter of other namespaces.
    ORDER BY name
  ) AS counter
  WHERE namespace.retention > %(age)s::interval
) AS candidate
CROSS JOIN LATERAL (
  SELECT
  FROM {partition} AS event
  WHERE event.counter_id = candidate.counter_id
  -- The order makes the planner use the index here, too. For a counter that it takes for a
  -- frequent one, it would read the whole partition.
  ORDER BY event.xid
  LIMIT 1
) AS kept
LIMIT 1
