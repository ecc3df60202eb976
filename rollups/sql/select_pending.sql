-- The counters that have waited longest for a fold, for the sweep and `rollup --watch`.
-- Parameters: grace interval (leave those that have waited for less), most bigint.
-- Returns: counter_id, lag interval; longest lag first. The lag is now minus the later of
--   the oldest last write's pending_since and the watermark's time. One that was set apart
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
  LEFT JOIN rollups_rollup AS rollup
    ON rollup.counter_id = last_write.counter_id
    AND rollup.watermark_at <= clock_timestamp()
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
