-- How long some counters have been waiting for a fold.
-- Parameters: counter_ids bigint[].
-- Returns: counter_id, lag interval; one row a counter that is pending.
-- Index: the primary keys of last write and rollup. Times from the future: as
--   select_pending.sql.
SELECT waiting.counter_id, greatest(waiting.age, -waiting.age)
FROM (
  SELECT last_write.counter_id,
         clock_timestamp() - greatest(
           min(last_write.pending_since),
           max(rollup.watermark_at) FILTER (
             WHERE rollup.watermark_at <= clock_timestamp()
           )
         ) AS age
  FROM counters_lastwrite AS last_write
  LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = last_write.counter_id
  WHERE last_write.counter_id = ANY (%(counter_ids)s::bigint[])
    AND NOT pg_visible_in_snapshot(last_write.xid, coalesce(rollup.watermark, '1:1:'))
  GROUP BY last_write.counter_id
) AS waiting
