-- Makes the rollups that counters with events lack.
-- Parameters: counter_ids bigint[].
-- Indexes: the primary keys of counter, rollup; counters_event_unfolded.
INSERT INTO rollups_rollup (counter_id, namespace_id)
SELECT counter.id, counter.namespace_id
FROM counters_counter AS counter
WHERE counter.id = ANY (%(counter_ids)s::bigint[])
  AND EXISTS (SELECT FROM counters_event AS event WHERE event.counter_id = counter.id)
ORDER BY counter.id
-- One that is being deleted is left out: its rollup would break the foreign key.
FOR KEY SHARE OF counter SKIP LOCKED
ON CONFLICT (counter_id) DO NOTHING
