-- Set the storage of last writes, whose rows come and go all the time.
-- fillfactor: room on each page for new versions of its rows (HOT updates change no index).
-- autovacuum: start after a number of rows, because the table should stay tiny.
-- vacuum_truncate: keep the pages of an empty table. Without them the planner prefers to read
-- the whole table, and a connection keeps that plan until the next vacuum, even when many rows
-- have come by then.
ALTER TABLE counters_lastwrite SET (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 1000,
  vacuum_truncate = false
);
