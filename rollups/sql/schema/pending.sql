-- Create the view of pending counters: one row for each, with its lag.
-- The lag is now minus the later of the oldest last write's pending_since and the watermark's time.
-- A time in the future is from before a clock was set back. A watermark in the future says
-- nothing then; a last write in the future says how far the clock was set back: that is its lag.
-- After a restore into another cluster, a watermark may seem to cover new events, so every last
-- write counts as pending. Only rows that seem covered ask for it.
-- OFFSET 0 keeps one look-up of a rollup for each last write. Without it the planner, whose
-- statistics of a table that fills and empties within minutes are old, may read all rollups.
CREATE VIEW rollups_pending AS
SELECT counter_id, greatest(age, -age) AS lag
FROM (
  SELECT last_write.counter_id,
         clock_timestamp() - greatest(
           min(last_write.pending_since),
           max(rollup.watermark_at) FILTER (
             WHERE rollup.watermark_at <= clock_timestamp()
           )
         ) AS age
  FROM counters_lastwrite AS last_write
  LEFT JOIN LATERAL (
    SELECT watermark, watermark_at
    FROM rollups_rollup
    WHERE counter_id = last_write.counter_id
    OFFSET 0
  ) AS rollup ON true
  WHERE NOT pg_visible_in_snapshot(last_write.xid, coalesce(rollup.watermark, '1:1:'))
     OR NOT (SELECT rollups_is_anchored())
  GROUP BY last_write.counter_id
) AS waiting;

COMMENT ON VIEW rollups_pending IS 'Counters that wait for a fold, and for how long they have.';
