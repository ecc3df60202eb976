import counters.db.fields
import datetime
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from counters.db.statements import load


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='LastWrite',
            fields=[
                ('pk', models.CompositePrimaryKey('counter_id', 'slot', blank=True, editable=False, primary_key=True, serialize=False)),
                ('counter_id', models.BigIntegerField()),
                ('slot', models.IntegerField()),
                ('written_at', models.DateTimeField()),
                ('pending_since', models.DateTimeField()),
                ('oldest_event_time', models.DateTimeField()),
                ('newest_event_time', models.DateTimeField()),
                ('xid', counters.db.fields.Xid8Field(db_default=counters.db.fields.CurrentTransactionId())),
            ],
        ),
        migrations.CreateModel(
            name='Claim',
            fields=[
                ('pk', models.CompositePrimaryKey('counter_id', 'token', blank=True, editable=False, primary_key=True, serialize=False)),
                ('counter_id', models.BigIntegerField()),
                ('token', models.UUIDField()),
                ('event_time', models.DateTimeField()),
                ('delta', models.BigIntegerField()),
                ('expires_at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(fields=['expires_at'], name='counters_claim_expires_at')],
            },
        ),
        migrations.RunSQL(
            load("counters", "schema/events"),
            "DROP TABLE counters_event",
            state_operations=[
                migrations.CreateModel(
                    name='Event',
                    fields=[
                        ('pk', models.CompositePrimaryKey('counter_id', 'event_time', 'xid', blank=True, editable=False, primary_key=True, serialize=False)),
                        ('counter_id', models.BigIntegerField()),
                        ('token', models.UUIDField(null=True)),
                        ('event_time', models.DateTimeField()),
                        ('delta', models.BigIntegerField()),
                        ('xid', counters.db.fields.Xid8Field(db_default=counters.db.fields.CurrentTransactionId())),
                    ],
                    options={
                        'indexes': [models.Index(fields=['counter_id', 'xid'], include=('event_time', 'delta'), name='counters_event_unfolded')],
                        'constraints': [models.UniqueConstraint(fields=('token', 'counter_id', 'event_time'), condition=models.Q(('token__isnull', False)), name='counters_event_token')],
                    },
                ),
            ],
        ),
        migrations.CreateModel(
            name='Namespace',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='At most 64 letters, digits, dots, dashes and underscores. Clients send it in every call, so it cannot be changed later.', max_length=64, unique=True, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\\Z')])),
                ('description', models.TextField(blank=True, default='', help_text='The purpose of the namespace, for people.')),
                ('counter_type', models.CharField(choices=[('eventual', 'eventual: reads answer from the rollup'), ('accurate', 'accurate: reads include pending events'), ('best-effort', 'best-effort: in the cache only; may be lost')], default='eventual', help_text='The accuracy of a read that does not name one. Best-effort counters are kept in the cache only; a namespace cannot change to this type or from it.', max_length=16)),
                ('accept_past', models.DurationField(default=datetime.timedelta(days=1), help_text='How old an event may be when it arrives, and how long a retry with the same token is safe.', validators=[django.core.validators.MaxValueValidator(datetime.timedelta(days=36600))], verbose_name='accepts events back to')),
                ('accept_future', models.DurationField(default=datetime.timedelta(seconds=300), help_text="How far a client's clock may be ahead of the server's.", validators=[django.core.validators.MaxValueValidator(datetime.timedelta(days=36600))], verbose_name='accepts events ahead by')),
                ('retention', models.DurationField(default=datetime.timedelta(days=30), help_text='How long single events are kept after they are folded. Totals and series are kept forever. Raising this value does not bring back dropped events.', validators=[django.core.validators.MaxValueValidator(datetime.timedelta(days=36600))], verbose_name='keeps events for')),
                ('bucket_size', models.CharField(choices=[('minute', 'per minute'), ('hour', 'per hour'), ('day', 'per day')], default='minute', help_text='The length of the buckets of series. Shorter buckets need more rows: one for each counter and minute, hour or day in which it changed.', max_length=8, verbose_name='keeps series')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
            ],
            options={
                'ordering': ['name'],
                'constraints': [models.CheckConstraint(condition=models.Q(('accept_past__gt', datetime.timedelta(0))), name='counters_namespace_accept_past_positive'), models.CheckConstraint(condition=models.Q(('accept_future__gte', datetime.timedelta(0))), name='counters_namespace_accept_future_not_negative'), models.CheckConstraint(condition=models.Q(('retention__gte', models.F('accept_past'))), name='counters_namespace_retention_covers_accept_past', violation_error_message='Events must be kept for at least the accept window, so that retries are recognised.')],
            },
        ),
        migrations.CreateModel(
            name='ImportProgress',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64)),
                ('place', models.JSONField()),
                ('kept_at', models.DateTimeField(auto_now=True)),
                ('namespace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='counters.namespace')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('namespace', 'digest'), name='counters_importprogress_once')],
            },
        ),
        migrations.CreateModel(
            name='Grant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('can_read', models.BooleanField(default=False, help_text='Read counters, lists and series.')),
                ('can_write', models.BooleanField(default=False, help_text='Add and clear.')),
                ('can_manage', models.BooleanField(default=False, help_text='Change the namespace; delete it or its counters.')),
                ('group', models.ForeignKey(blank=True, help_text='All users of the group get these rights.', null=True, on_delete=django.db.models.deletion.CASCADE, to='auth.group')),
                ('user', models.ForeignKey(blank=True, help_text='A user or a group, not both.', null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
                ('namespace', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='grants', to='counters.namespace')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('group__isnull', True), ('user__isnull', False)), models.Q(('group__isnull', False), ('user__isnull', True)), _connector='OR'), name='counters_grant_user_or_group', violation_error_message='A grant is for a user or for a group.'), models.UniqueConstraint(fields=('namespace', 'user'), name='counters_grant_once_a_user'), models.UniqueConstraint(fields=('namespace', 'group'), name='counters_grant_once_a_group')],
            },
        ),
        migrations.CreateModel(
            name='Counter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(db_collation='C', max_length=200)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created')),
                ('namespace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='counters.namespace')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('namespace', 'name'), name='counters_counter_namespace_name'), models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='counters_counter_name_not_empty')],
            },
        ),
        migrations.RunSQL(load("counters", "schema/last_write_storage"), migrations.RunSQL.noop),
        migrations.RunSQL(
            load("counters", "schema/check_repeat"),
            "DROP FUNCTION counters_check_repeat(bigint, uuid, timestamptz, bigint, bigint)",
        ),
    ]
