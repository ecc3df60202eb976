from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [("counters", "9997_next_event")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE counters_lastwrite ADD COLUMN remark text DEFAULT ''",
            "ALTER TABLE counters_lastwrite DROP COLUMN remark",
        )
    ]
