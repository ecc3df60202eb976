-- The counters that have waited longest for a fold, for the sweep and `rollup --watch`.
-- Parameters: grace interval (leave those that have waited for less), most bigint.
-- Returns: counter_id, lag interval; longest lag first. The lag is now minus the later of
--   the oldest last write's pending_since and the watermark's time. One that was quarantined
--   after a failed fold is left out until its next try.
-- A time from the future is from before a clock was set back. A watermark's says nothing
--   then; a last write's says how far the clock was set back, and that is its lag.
-- Cost: one pass over the last writes, which exist for pending counters only; a primary
--   key look-up in rollups and failures for each of their counters.
SELECT waiting.counter_id, waiting.lag
FROM (
  SELECT last_write.counter_id, greatest(since.age, -since.age) AS lag
  FROM (
    SELECT counter_id, min(pending_since) AS pending_since
    FROM counters_lastwrite
    GROUP BY counter_id
  ) AS last_write
  -- A look-up for each; OFFSET 0 keeps it one. Else the planner, whose statistics of a
  -- table that is full in one minute and empty in the next are old, may read all rollups.
  LEFT JOIN LATERAL (
    SELECT watermark_at
    FROM rollups_rollup
    WHERE counter_id = last_write.counter_id
      AND watermark_at <= clock_timestamp()
    OFFSET 0
  ) AS rollup ON true
  CROSS JOIN LATERAL (
    SELECT clock_timestamp() - greatest(last_write.pending_since, rollup.watermark_at)
      AS age
  ) AS since
) AS waiting
LEFT JOIN rollups_failure AS failure ON failure.counter_id = waiting.counter_id
WHERE waiting.lag >= %(grace)s::interval
  AND (
    failure.next_try_at IS NULL
    OR failure.next_try_at <= statement_timestamp()
    OR failure.failed_at > statement_timestamp()
  )
ORDER BY waiting.lag DESC
LIMIT %(most)s::bigint
