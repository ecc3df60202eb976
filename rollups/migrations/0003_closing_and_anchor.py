import django.db.models.functions.datetime
from django.db import migrations, models


# The cluster whose transaction ids the stored snapshots speak of. A dump takes the row along
# to another cluster, where transaction ids mean nothing; then it differs from the server's.
ANCHOR = """
CREATE TABLE rollups_anchor (
  id smallint PRIMARY KEY CONSTRAINT rollups_anchor_one_row CHECK (id = 1),
  system_identifier bigint NOT NULL,
  anchored_at timestamptz NOT NULL
);
INSERT INTO rollups_anchor
SELECT 1, system_identifier, statement_timestamp() FROM pg_control_system();

-- A session belongs to one cluster for its whole life, so it looks for the cluster's identifier
-- (which is in a file) once and remembers it; the anchor it reads each time.
CREATE FUNCTION rollups_is_anchored() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
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

CREATE FUNCTION rollups_check_anchor() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT rollups_is_anchored() THEN
    RAISE EXCEPTION USING
      ERRCODE = 'CN503',
      MESSAGE = 'watermarks and events are of another database cluster: run manage.py counters reanchor';
  END IF;
  RETURN true;
END
$$;
"""
NO_ANCHOR = """
DROP FUNCTION rollups_check_anchor();
DROP FUNCTION rollups_is_anchored();
DROP TABLE rollups_anchor;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('rollups', '0002_trigger_operations'),
    ]

    operations = [
        migrations.AddField(
            model_name='bucket',
            name='closed_delta',
            field=models.DecimalField(decimal_places=0, max_digits=40, null=True),
        ),
        migrations.AddField(
            model_name='bucket',
            name='closed_events',
            field=models.BigIntegerField(null=True),
        ),
        migrations.CreateModel(
            name='Closing',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('closed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('counters', models.BigIntegerField()),
                ('events', models.BigIntegerField()),
                ('total', models.DecimalField(decimal_places=0, max_digits=60)),
                ('dropped_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['-closed_at'],
                'constraints': [models.CheckConstraint(condition=models.Q(('since__lt', models.F('until'))), name='rollups_closing_since_before_until')],
            },
        ),
        migrations.CreateModel(
            name='Anchor',
            fields=[
                ('id', models.SmallIntegerField(primary_key=True, serialize=False)),
                ('system_identifier', models.BigIntegerField()),
                ('anchored_at', models.DateTimeField()),
            ],
            options={
                'managed': False,
            },
        ),
        migrations.RunSQL(ANCHOR, NO_ANCHOR),
    ]
