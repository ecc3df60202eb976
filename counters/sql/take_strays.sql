-- Takes out of the default partition what make_partition.sql has copied of it.
-- Names put in: {partition} identifier, {since} and {until} literals (timestamptz).
-- Locks: the whole event table, to the commit. The default partition alone would not do: a
-- statement that is being planned has looked the partitions up before it waits for that one, and
-- takes its snapshot afterwards. It would find the events neither there nor in a partition that
-- it does not know: an accurate read would miss them, and a deletion would leave them behind.
-- (A fold has both locks before it is planned: see lock_rollups.sql.)
LOCK TABLE ONLY counters_event IN ACCESS EXCLUSIVE MODE;
LOCK TABLE counters_event_default IN ACCESS EXCLUSIVE MODE;
-- Deleted since it was copied, or given another transaction by `reanchor`.
DELETE FROM {partition} AS copied
WHERE NOT EXISTS (
  SELECT FROM counters_event_default AS event
  WHERE event.token = copied.token
    AND event.counter_id = copied.counter_id
    AND event.event_time = copied.event_time
    AND event.xid = copied.xid
);
INSERT INTO {partition}
SELECT * FROM counters_event_default AS event
WHERE event_time >= {since}::timestamptz AND event_time < {until}::timestamptz
  AND NOT EXISTS (
    SELECT FROM {partition} AS copied
    WHERE copied.token = event.token
      AND copied.counter_id = event.counter_id
      AND copied.event_time = event.event_time
  );
DELETE FROM counters_event_default
WHERE event_time >= {since}::timestamptz AND event_time < {until}::timestamptz
