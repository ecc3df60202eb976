from django.db import migrations

from counters.migrations._event_key import build_indexes, drop_indexes


class Migration(migrations.Migration):

    # CONCURRENTLY is refused inside a transaction.
    atomic = False

    dependencies = [
        ('counters', '0004_longest_windows'),
    ]

    operations = [
        migrations.RunPython(build_indexes, drop_indexes),
    ]

    reviewed = {0: "it builds indexes concurrently: no add waits"}
