from django.db import migrations, models


# Each rollup names the cluster whose transaction ids its watermark holds. The anchor alone does
# not show rows that were copied into a database which already has an anchor: by a dump of the
# data alone, or logical replication. Null: nothing was folded yet.
# Existing rows belong to the anchor's cluster. A constant default rewrites no row.
COLUMN = """
DO $$
BEGIN
  EXECUTE format(
    'ALTER TABLE rollups_rollup ADD COLUMN cluster bigint DEFAULT %s',
    coalesce((SELECT system_identifier::text FROM rollups_anchor), 'NULL')
  );
END
$$;
ALTER TABLE rollups_rollup ALTER COLUMN cluster DROP DEFAULT;
"""

FUNCTIONS = """
-- A session belongs to one cluster for its whole life. So it reads the cluster's identifier,
-- which is in a file, once and caches it. It reads the anchor each time.
CREATE OR REPLACE FUNCTION rollups_cluster() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
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

CREATE OR REPLACE FUNCTION rollups_is_anchored() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM rollups_anchor WHERE system_identifier = rollups_cluster());
END
$$;

-- The detail says which anchor was refused: see rollups.folding.cluster_identity.
CREATE OR REPLACE FUNCTION rollups_refuse_if(is_foreign boolean) RETURNS boolean
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

-- Under an isolation level with one snapshot for the transaction, partitions may have been
-- attached or detached after the snapshot. A statement reads the current partitions, but not the
-- rows that moved into one after the snapshot. pg_partition_tree returns the current partitions;
-- pg_inherits is read in the snapshot.
CREATE OR REPLACE FUNCTION rollups_check_partitions() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
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

CREATE OR REPLACE FUNCTION rollups_check_anchor() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN rollups_check_partitions() AND rollups_refuse_if(NOT rollups_is_anchored());
END
$$;
"""

OLDER_FUNCTIONS = """
CREATE OR REPLACE FUNCTION rollups_is_anchored() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
  server text := nullif(current_setting('counters.system_identifier', true), '');
BEGIN
  IF server IS NULL THEN
    SELECT set_config('counters.system_identifier', system_identifier::text, false)
    INTO server FROM pg_control_system();
  END IF;
  RETURN EXISTS (
    SELECT FROM rollups_anchor WHERE system_identifier = server::bigint
  );
END
$$;

CREATE OR REPLACE FUNCTION rollups_check_anchor() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT rollups_is_anchored() THEN
    RAISE EXCEPTION USING
      ERRCODE = 'CN503',
      MESSAGE = 'watermarks and events are of another database cluster: run manage.py counters reanchor';
  END IF;
  RETURN true;
END
$$;

DROP FUNCTION rollups_check_partitions();
DROP FUNCTION rollups_refuse_if(boolean);
DROP FUNCTION rollups_cluster();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('rollups', '0006_pending_after_restore'),
    ]

    reviewed = {
        0: "adds a column whose default is a plain value; a fold waits for a moment, no add does",
        1: "makes functions and replaces two by what says more of the same",
    }

    operations = [
        migrations.RunSQL(
            COLUMN,
            "ALTER TABLE rollups_rollup DROP COLUMN cluster",
            state_operations=[
                migrations.AddField(
                    model_name='rollup',
                    name='cluster',
                    field=models.BigIntegerField(null=True),
                ),
            ],
        ),
        # Older code calls two of these functions; they still do what they did.
        migrations.RunSQL(
            FUNCTIONS,
            OLDER_FUNCTIONS,
        ),
    ]
