-- The counters that have waited longest for a fold, for the sweep and `rollup --watch`.
-- Parameters: grace interval (leave those that have waited for less), most bigint.
-- Returns: counter_id, lag interval; longest lag first. The lag is now minus the later of
--   the oldest last write's pending_since and the watermark's time. One that was set apart
--   after a failed fold is left out until its next try.
-- Cost: one pass over the last writes, which exist for pending counters only; a primary
--   key look-up in rollups and failures for each of their counters.
SELECT waiting.counter_id,
       clock_timestamp() - greatest(waiting.pending_since, rollup.watermark_at) AS lag
FROM (
  SELECT counter_id, min(pending_since) AS pending_since
  FROM counters_lastwrite
  GROUP BY counter_id
) AS waiting
LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = waiting.counter_id
LEFT JOIN rollups_failure AS failure ON failure.counter_id = waiting.counter_id
WHERE greatest(waiting.pending_since, rollup.watermark_at)
      <= clock_timestamp() - %(grace)s::interval
  AND (failure.next_try_at IS NULL OR failure.next_try_at <= statement_timestamp())
ORDER BY lag DESC
LIMIT %(most)s::bigint
