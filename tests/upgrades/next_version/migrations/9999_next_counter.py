from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [("counters", "9998_next_lastwrite")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE counters_counter ADD COLUMN remark text DEFAULT ''",
            "ALTER TABLE counters_counter DROP COLUMN remark",
        )
    ]
