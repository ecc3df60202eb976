-- Create the event table, range-partitioned by event time.
-- `counters.partitions.create` makes the partitions. An event without a partition goes to the
-- default one, so no add fails because a partition is missing.
-- The key begins with the token: see docs/decisions/0028.
CREATE TABLE counters_event (
  counter_id bigint NOT NULL,
  token uuid NOT NULL,
  event_time timestamptz NOT NULL,
  delta bigint NOT NULL,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (token, counter_id, event_time)
) PARTITION BY RANGE (event_time);
CREATE INDEX counters_event_unfolded
  ON counters_event (counter_id, xid) INCLUDE (event_time, delta);
CREATE TABLE counters_event_default PARTITION OF counters_event DEFAULT;
