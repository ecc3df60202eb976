-- Says that a process lives, and what it has counted since its row was made.
-- Parameters: id uuid, breaker_is_open boolean, waiting bigint, numbers jsonb.
-- Index: the primary key. Touches no row where the process was forgotten meanwhile.
UPDATE rollups_process
SET seen_at = statement_timestamp(),
    breaker_is_open = %(breaker_is_open)s::boolean,
    waiting = %(waiting)s::bigint,
    numbers = %(numbers)s::jsonb
WHERE id = %(id)s::uuid
