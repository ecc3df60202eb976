"""What a Django user writes today: `update(total=F("total") + 1)` on the counter's row."""

from __future__ import annotations

from django.db.models import F

from benchmarks.plain.models import PlainCounter, create_table

TITLE = 'update(total=F("total") + 1)'
STEP_EVENTS = 1
BESIDE = ()


def setup(counters: int) -> None:
    create_table(counters)


def step(key: int) -> None:
    PlainCounter._default_manager.filter(name=f"c{key}").update(total=F("total") + 1)
