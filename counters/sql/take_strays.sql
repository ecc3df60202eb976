-- Takes out of the default partition what make_partition.sql has copied of it.
-- Names put in: {partition} identifier, {since} and {until} literals (timestamptz).
-- Locks: the whole event table, to the commit. The default partition alone would not do: a
-- statement that is being planned has looked the partitions up before it waits for that one, and
-- takes its snapshot afterwards. It would find the events neither there nor in a partition that
-- it does not know: an accurate read would miss them, and a deletion would leave them behind.
-- (A fold has both locks before it is planned: see lock_rollups.sql.)
LOCK TABLE ONLY counters_event IN ACCESS EXCLUSIVE MODE;
LOCK TABLE counters_event_default IN ACCESS EXCLUSIVE MODE;
-- Events without a token may be equal, so equal events are counted. What differs was added or
-- deleted since it was copied, or `reanchor` gave it another transaction. All of its copies go.
DELETE FROM {partition} AS copied
USING (
  SELECT counter_id, token, event_time, delta, xid
  FROM (
    SELECT counter_id, token, event_time, delta, xid, 1 AS copies
    FROM counters_event_default
    WHERE event_time >= {since}::timestamptz AND event_time < {until}::timestamptz
    UNION ALL
    SELECT counter_id, token, event_time, delta, xid, -1 FROM {partition}
  ) AS event
  GROUP BY counter_id, token, event_time, delta, xid
  HAVING sum(copies) <> 0
) AS changed
WHERE copied.counter_id = changed.counter_id
  AND copied.token IS NOT DISTINCT FROM changed.token
  AND copied.event_time = changed.event_time
  AND copied.delta = changed.delta
  AND copied.xid = changed.xid;
-- Now only events without any copy differ.
INSERT INTO {partition}
SELECT event.*
FROM counters_event_default AS event
JOIN (
  SELECT counter_id, token, event_time, delta, xid
  FROM (
    SELECT counter_id, token, event_time, delta, xid, 1 AS copies
    FROM counters_event_default
    WHERE event_time >= {since}::timestamptz AND event_time < {until}::timestamptz
    UNION ALL
    SELECT counter_id, token, event_time, delta, xid, -1 FROM {partition}
  ) AS event
  GROUP BY counter_id, token, event_time, delta, xid
  HAVING sum(copies) <> 0
) AS missing
  ON event.counter_id = missing.counter_id
  AND event.token IS NOT DISTINCT FROM missing.token
  AND event.event_time = missing.event_time
  AND event.delta = missing.delta
  AND event.xid = missing.xid;
DELETE FROM counters_event_default
WHERE event_time >= {since}::timestamptz AND event_time < {until}::timestamptz
