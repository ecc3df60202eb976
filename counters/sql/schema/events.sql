-- Create the event table, range-partitioned by event time.
-- `counters.partitions.create` makes the partitions. An event without a partition goes to the
-- default one, so no add fails because a partition is missing.
-- There is no primary key, because an event without a token has none: equal events are different
-- events. The index of tokens begins with the token: see docs/decisions/0003.
-- The tables have no key for logical replication, so it identifies rows by all of their columns.
CREATE TABLE counters_event (
  counter_id bigint NOT NULL,
  token uuid,
  event_time timestamptz NOT NULL,
  delta bigint NOT NULL,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id()
) PARTITION BY RANGE (event_time);
CREATE INDEX counters_event_unfolded
  ON counters_event (counter_id, xid) INCLUDE (event_time, delta);
CREATE UNIQUE INDEX counters_event_token
  ON counters_event (token, counter_id, event_time) WHERE token IS NOT NULL;
CREATE TABLE counters_event_default PARTITION OF counters_event DEFAULT;
ALTER TABLE counters_event REPLICA IDENTITY FULL;
ALTER TABLE counters_event_default REPLICA IDENTITY FULL;
