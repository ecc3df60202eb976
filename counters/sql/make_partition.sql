-- Makes the table of a partition, and copies into it what waits in the default one.
-- Names put in: {partition} identifier, {since} and {until} literals (timestamptz).
-- Locks nothing that an add, a fold or a deletion minds: take_strays.sql sees to what changes
-- meanwhile.
-- The CHECK spares ATTACH a scan of the new table; it is dropped once it has served. Its
-- indexes are filled here, so that they are not while others wait.
CREATE TABLE {partition} (
  LIKE counters_event INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING INDEXES,
  CONSTRAINT attaching CHECK (
    event_time >= {since}::timestamptz AND event_time < {until}::timestamptz
  )
);
ALTER TABLE {partition} REPLICA IDENTITY FULL;
INSERT INTO {partition}
SELECT * FROM counters_event_default
WHERE event_time >= {since}::timestamptz AND event_time < {until}::timestamptz
