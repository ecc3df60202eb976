"""What a Django user writes today: `update(total=F("total") + 1)` on the counter's row."""

from __future__ import annotations

from django.db import connection, models
from django.db.models import F

TITLE = 'update(total=F("total") + 1), one hot row'
STEP_EVENTS = 1
WITH_WORKER = False


class PlainCounter(models.Model):
    """A counter as one row."""

    name = models.CharField(max_length=200, unique=True)
    total = models.BigIntegerField()

    class Meta:
        app_label = "benchmarks"
        managed = False

    def __str__(self) -> str:
        return self.name


def setup() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS benchmarks_plaincounter (id bigserial PRIMARY KEY,"
            " name varchar(200) UNIQUE, total bigint NOT NULL) WITH (fillfactor = 50)"
        )
    PlainCounter._default_manager.get_or_create(name="hot", defaults={"total": 0})


def step() -> None:
    PlainCounter._default_manager.filter(name="hot").update(total=F("total") + 1)
