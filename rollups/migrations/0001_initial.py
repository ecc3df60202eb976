import counters.db.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from counters.db.statements import load


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('counters', '0001_initial'),
    ]

    operations = [
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
        migrations.CreateModel(
            name='Bucket',
            fields=[
                ('pk', models.CompositePrimaryKey('counter_id', 'bucket_at', blank=True, editable=False, primary_key=True, serialize=False)),
                ('counter_id', models.BigIntegerField()),
                ('bucket_at', models.DateTimeField()),
                ('delta', models.DecimalField(decimal_places=0, max_digits=40)),
                ('events', models.BigIntegerField()),
                ('closed_delta', models.DecimalField(decimal_places=0, max_digits=40, null=True)),
                ('closed_events', models.BigIntegerField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Failure',
            fields=[
                ('counter_id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('error', models.TextField()),
                ('attempts', models.IntegerField(verbose_name='tries')),
                ('failed_since', models.DateTimeField(verbose_name='fails since')),
                ('failed_at', models.DateTimeField(verbose_name='last try')),
                ('next_try_at', models.DateTimeField(verbose_name='next try')),
            ],
            options={
                'verbose_name': 'quarantined counter',
                'verbose_name_plural': 'quarantined counters',
            },
        ),
        migrations.CreateModel(
            name='Process',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('role', models.CharField(max_length=16)),
                ('host', models.CharField(max_length=255)),
                ('pid', models.IntegerField()),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('breaker_is_open', models.BooleanField(db_default=False)),
                ('waiting', models.BigIntegerField(db_default=0)),
                ('numbers', models.JSONField()),
            ],
            options={
                'verbose_name_plural': 'processes',
            },
        ),
        migrations.CreateModel(
            name='Sample',
            fields=[
                ('sampled_at', models.DateTimeField(primary_key=True, serialize=False)),
                ('pending', models.BigIntegerField()),
                ('lag_p50_seconds', models.FloatField()),
                ('lag_p99_seconds', models.FloatField()),
                ('lag_max_seconds', models.FloatField()),
                ('inserted', models.BigIntegerField()),
                ('numbers', models.JSONField()),
            ],
        ),
        migrations.CreateModel(
            name='Closing',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateTimeField(verbose_name='events from')),
                ('until', models.DateTimeField()),
                ('closed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='archived')),
                ('counters', models.BigIntegerField()),
                ('events', models.BigIntegerField()),
                ('total', models.DecimalField(decimal_places=0, max_digits=60)),
                ('dropped_at', models.DateTimeField(null=True, verbose_name='dropped')),
            ],
            options={
                'verbose_name': 'archived partition',
                'ordering': ['-closed_at'],
                'constraints': [models.CheckConstraint(condition=models.Q(('since__lt', models.F('until'))), name='rollups_closing_since_before_until')],
            },
        ),
        migrations.CreateModel(
            name='Rollup',
            fields=[
                ('counter', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to='counters.counter')),
                ('namespace_id', models.BigIntegerField()),
                ('total', models.DecimalField(db_default=0, decimal_places=0, max_digits=40)),
                ('events', models.BigIntegerField(db_default=0)),
                ('watermark', counters.db.fields.SnapshotField(db_default='1:1:')),
                ('cluster', models.BigIntegerField(null=True)),
                ('watermark_at', models.DateTimeField(null=True)),
                ('last_write_at', models.DateTimeField(null=True)),
            ],
            options={
                'indexes': [models.Index(fields=['namespace_id', 'total', 'counter'], name='rollups_rollup_by_count'), models.Index(fields=['namespace_id', 'last_write_at', 'counter'], name='rollups_rollup_by_last_write')],
            },
        ),
        migrations.CreateModel(
            name='Sweep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('swept_at', models.DateTimeField(verbose_name='at')),
                ('pending', models.IntegerField(help_text='Counters with events that no fold covers.')),
                ('overdue', models.IntegerField(db_default=0, help_text='Counters that had waited longer than the grace; the sweep enqueued them.')),
                ('healed', models.IntegerField(db_default=0, help_text="Counters that only this sweep's messages folded: their trigger was lost.")),
                ('oldest_lag', models.DurationField(null=True, verbose_name='longest lag')),
            ],
            options={
                'indexes': [models.Index(fields=['swept_at'], name='rollups_sweep_swept_at')],
            },
        ),
        migrations.RunSQL(load("rollups", "schema/storage"), migrations.RunSQL.noop),
        migrations.RunSQL(load("rollups", "schema/anchor"), load("rollups", "schema/drop_anchor")),
        migrations.RunSQL(load("rollups", "schema/pending"), "DROP VIEW rollups_pending"),
    ]
