-- Create the anchor: the row that names the cluster whose transaction ids the watermarks hold.
-- A dump takes the row to another cluster, where these ids mean nothing. The row then differs
-- from the server's own identifier.
CREATE TABLE rollups_anchor (
  id smallint PRIMARY KEY CONSTRAINT rollups_anchor_one_row CHECK (id = 1),
  system_identifier bigint NOT NULL,
  anchored_at timestamptz NOT NULL
);
INSERT INTO rollups_anchor
SELECT 1, system_identifier, statement_timestamp() FROM pg_control_system();

-- Return the identifier of this server's cluster.
-- A session belongs to one cluster for its whole life. So it reads the identifier, which is in
-- a file, once and caches it.
CREATE FUNCTION rollups_cluster() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  server text := nullif(current_setting('counters.system_identifier', true), '');
BEGIN
  IF server IS NULL THEN
    SELECT set_config('counters.system_identifier', system_identifier::text, false)
    INTO server FROM pg_control_system();
  END IF;
  RETURN server::bigint;
END
$$;

-- Tell whether the anchor names this cluster.
CREATE FUNCTION rollups_is_anchored() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM rollups_anchor WHERE system_identifier = rollups_cluster());
END
$$;

-- Raise CN503 if a row belongs to another cluster.
-- The detail says which anchor was refused: see rollups.folding.cluster_identity.
CREATE FUNCTION rollups_refuse_if(is_foreign boolean) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF is_foreign THEN
    RAISE EXCEPTION USING
      ERRCODE = 'CN503',
      MESSAGE = 'watermarks and events are of another database cluster: run manage.py counters reanchor',
      DETAIL = coalesce((SELECT anchored_at::text FROM rollups_anchor), '');
  END IF;
  RETURN true;
END
$$;

-- Raise a serialization failure if partitions changed since the transaction's snapshot.
-- Under an isolation level with one snapshot for the transaction, partitions may have been
-- attached or detached after the snapshot. A statement reads the current partitions, but not the
-- rows that moved into one after the snapshot. pg_partition_tree returns the current partitions;
-- pg_inherits is read in the snapshot.
CREATE FUNCTION rollups_check_partitions() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
    AND (
      SELECT array_agg(relid::oid ORDER BY relid::oid)
      FROM pg_partition_tree('counters_event') WHERE level = 1
    ) IS DISTINCT FROM (
      SELECT array_agg(inhrelid ORDER BY inhrelid)
      FROM pg_inherits WHERE inhparent = 'counters_event'::regclass
    )
  THEN
    RAISE EXCEPTION USING
      ERRCODE = 'serialization_failure',
      MESSAGE = 'could not serialize access: partitions of events changed since the snapshot';
  END IF;
  RETURN true;
END
$$;

-- Raise an error if this transaction must not compare watermarks and events.
CREATE FUNCTION rollups_check_anchor() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN rollups_check_partitions() AND rollups_refuse_if(NOT rollups_is_anchored());
END
$$;
