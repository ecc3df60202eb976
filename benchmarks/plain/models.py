"""A counter as one row."""

from __future__ import annotations

from django.db import connection, models


class PlainCounter(models.Model):
    """A name and a total in a table that `create_table` makes."""

    name = models.CharField(max_length=200, unique=True)
    total = models.BigIntegerField()

    class Meta:
        app_label = "plain"
        managed = False

    def __str__(self) -> str:
        return self.name


def create_table(counters: int) -> None:
    """Create the table and the counters `c0`, `c1`, ... that do not exist yet."""
    with connection.cursor() as cursor:
        # Half-empty pages make updates heap-only: this peer at its best.
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS plain_plaincounter (id bigserial PRIMARY KEY,"
            " name varchar(200) UNIQUE, total bigint NOT NULL) WITH (fillfactor = 50)"
        )
        cursor.execute(
            "INSERT INTO plain_plaincounter (name, total)"
            " SELECT 'c' || i, 0 FROM generate_series(0, %s - 1) AS i"
            " ON CONFLICT DO NOTHING",
            [counters],
        )
        cursor.execute("VACUUM ANALYZE plain_plaincounter")
