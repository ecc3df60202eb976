-- Makes the table that make_partition.sql made a partition, with what came meanwhile.
-- Names put in: {partition} identifier, {since} and {until} literals (timestamptz).
-- Locks: the default partition, from here to the commit; the parent only as ATTACH does (SHARE
-- UPDATE EXCLUSIVE), which lets every insert into the other partitions through.
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
