"""Changes what an add writes; today's code knows nothing of it. One table a migration."""

from pathlib import Path

from counters import migrations as known
from django.db import migrations

[FOLDER] = known.__path__
NEWEST = max(path.stem for path in Path(FOLDER).glob("[0-9]*.py"))


class Migration(migrations.Migration):

    dependencies = [("counters", NEWEST)]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE counters_event ADD COLUMN remark text DEFAULT ''",
            "ALTER TABLE counters_event DROP COLUMN remark",
        )
    ]
