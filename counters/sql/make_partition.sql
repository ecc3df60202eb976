-- Makes one partition of counters_event and moves into it what waits in the default one.
-- Names put in: {partition} identifier, {since} and {until} literals (timestamptz).
-- Locks: the default partition, for the move; the parent only as ATTACH does (SHARE UPDATE
-- EXCLUSIVE), which lets every insert into the other partitions through.
-- The CHECK spares ATTACH a scan of the new table; it is dropped once it has served.
CREATE TABLE {partition} (
  LIKE counters_event INCLUDING DEFAULTS INCLUDING STORAGE,
  CONSTRAINT attaching CHECK (
    event_time >= {since}::timestamptz AND event_time < {until}::timestamptz
  )
);
LOCK TABLE counters_event_default IN ACCESS EXCLUSIVE MODE;
WITH moved AS (
  DELETE FROM counters_event_default
  WHERE event_time >= {since}::timestamptz AND event_time < {until}::timestamptz
  RETURNING *
)
INSERT INTO {partition} SELECT * FROM moved;
ALTER TABLE counters_event ATTACH PARTITION {partition}
  FOR VALUES FROM ({since}) TO ({until});
ALTER TABLE {partition} DROP CONSTRAINT attaching
