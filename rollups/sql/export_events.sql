-- The events that are kept, for `export`.
-- Parameters: namespace_id bigint (NULL: all namespaces), since and until timestamptz (NULL:
--   no bound; until is exclusive).
-- Returns, in no order, so that nothing is sorted: namespace, name, token (as it is stored),
--   event_time, delta.
-- Reads the partitions between the two times, one after the other.
SELECT namespace.name, counter.name, event.token, event.event_time, event.delta
FROM counters_event AS event
JOIN counters_counter AS counter ON counter.id = event.counter_id
JOIN counters_namespace AS namespace ON namespace.id = counter.namespace_id
WHERE (%(namespace_id)s::bigint IS NULL OR counter.namespace_id = %(namespace_id)s::bigint)
  AND (%(since)s::timestamptz IS NULL OR event.event_time >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR event.event_time < %(until)s::timestamptz)
