"""Changes every table that an add writes; today's code knows nothing of it."""

from pathlib import Path

from counters import migrations as known
from django.db import migrations

TABLES = ("counters_event", "counters_lastwrite", "counters_counter", "counters_claim")
[FOLDER] = known.__path__
NEWEST = max(path.stem for path in Path(FOLDER).glob("[0-9]*.py"))


class Migration(migrations.Migration):
    dependencies = [("counters", NEWEST)]

    operations = [
        migrations.RunSQL(
            [
                f"ALTER TABLE {table} ADD COLUMN remark text DEFAULT ''"
                for table in TABLES
            ],
            [f"ALTER TABLE {table} DROP COLUMN remark" for table in TABLES],
        )
    ]
