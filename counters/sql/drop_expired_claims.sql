-- Drops claims whose tokens may count again, oldest first.
-- Parameters: now timestamptz, batch_rows bigint.
-- Index: counters_claim_expires_at. A claim that is being renewed is skipped.
DELETE FROM counters_claim
WHERE (counter_id, token) IN (
  SELECT counter_id, token
  FROM counters_claim
  WHERE expires_at < %(now)s::timestamptz
  ORDER BY expires_at
  LIMIT %(batch_rows)s::bigint
  FOR UPDATE SKIP LOCKED
)
