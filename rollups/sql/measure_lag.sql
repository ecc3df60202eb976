-- The system's lag: how many counters are pending, and the greatest lag among them.
-- Parameters: none.
-- Returns: one row: pending bigint, oldest interval (0 where none is pending).
-- Cost: as select_pending.sql.
SELECT count(*), coalesce(max(lag), '0')
FROM rollups_pending
