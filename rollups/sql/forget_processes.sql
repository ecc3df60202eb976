-- Forgets processes that have been silent for long; their numbers stay in one row, "ended".
-- Parameters: silent interval, ended uuid (the id of that row).
-- Run under the advisory lock of rollups.monitor.samples: two at once would lose numbers.
-- Reads the whole table, which has a row for each process of the last minutes.
WITH gone AS (
  DELETE FROM rollups_process
  WHERE seen_at < statement_timestamp() - %(silent)s::interval AND id <> %(ended)s::uuid
  RETURNING numbers
),
summed AS (
  SELECT jsonb_object_agg(key, total) AS numbers
  FROM (
    SELECT number.key, sum(number.value::numeric) AS total
    FROM (
      SELECT numbers FROM gone
      UNION ALL
      SELECT numbers FROM rollups_process WHERE id = %(ended)s::uuid
    ) AS part
    CROSS JOIN LATERAL jsonb_each_text(part.numbers) AS number
    GROUP BY number.key
  ) AS total
)
INSERT INTO rollups_process (id, role, host, pid, numbers)
SELECT %(ended)s::uuid, 'ended', '', 0, summed.numbers
FROM summed
WHERE EXISTS (SELECT FROM gone) AND summed.numbers IS NOT NULL
ON CONFLICT (id) DO UPDATE SET numbers = excluded.numbers
