import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('counters', '0008_conflicts_name_the_time'),
    ]

    operations = [
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
    ]
