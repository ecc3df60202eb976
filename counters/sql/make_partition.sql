-- Makes the table of a partition and moves into it what waits in the default one.
-- Names put in: {partition} identifier, {since} and {until} literals (timestamptz).
-- Locks: rows only. Adds go on into the default partition; attach_partition.sql brings what
-- comes meanwhile. A repeat of an event that is being moved waits for the move.
-- The CHECK spares ATTACH a scan of the new table; it is dropped once it has served. Its
-- indexes are filled here, for the same reason.
CREATE TABLE {partition} (
  LIKE counters_event INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING INDEXES,
  CONSTRAINT attaching CHECK (
    event_time >= {since}::timestamptz AND event_time < {until}::timestamptz
  )
);
WITH moved AS (
  DELETE FROM counters_event_default
  WHERE event_time >= {since}::timestamptz AND event_time < {until}::timestamptz
  RETURNING *
)
INSERT INTO {partition} SELECT * FROM moved
