from django.db import migrations

# Last writes come and go. Were vacuum to give the pages of an empty table back, the planner would
# take reading the whole table for the cheapest way to find one of them, and a connection keeps
# that plan until the next vacuum, however many have come by then.
KEEP = "ALTER TABLE counters_lastwrite SET (vacuum_truncate = false)"


class Migration(migrations.Migration):

    dependencies = [
        ('counters', '0006_event_key_by_token'),
    ]

    reviewed = {0: "a storage parameter: its lock lets adds and folds through"}

    operations = [
        migrations.RunSQL(KEEP, "ALTER TABLE counters_lastwrite RESET (vacuum_truncate)"),
    ]
