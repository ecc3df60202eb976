-- Sums what all processes have counted, including those that have ended.
-- Parameters: none.
-- Returns: name text, total bigint; a row for each name.
-- Reads the whole table, which has a row for each process of the last minutes.
SELECT number.key, sum(number.value::bigint)::bigint
FROM rollups_process
CROSS JOIN LATERAL jsonb_each_text(rollups_process.numbers) AS number
GROUP BY number.key
