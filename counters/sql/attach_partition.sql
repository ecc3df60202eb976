-- Makes the table that make_partition.sql made a partition.
-- Names put in: {partition} identifier, {since} and {until} literals (timestamptz).
-- Locks: the default partition; the parent only as ATTACH does (SHARE UPDATE EXCLUSIVE), which
-- lets every insert into the other partitions through.
-- Raises: check_violation where an event of its span has come into the default partition.
ALTER TABLE counters_event ATTACH PARTITION {partition}
  FOR VALUES FROM ({since}) TO ({until});
ALTER TABLE {partition} DROP CONSTRAINT attaching
