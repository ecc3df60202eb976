from django.db import migrations

from counters.migrations._event_key import swap_back, swap_keys


class Migration(migrations.Migration):

    dependencies = [
        ('counters', '0005_event_key_is_built'),
    ]

    operations = [
        migrations.RunPython(swap_keys, swap_back),
    ]

    reviewed = {0: "it locks the events for a moment: the indexes are there"}
