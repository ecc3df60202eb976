"""The buffered peer's tasks: increments gather in Valkey, a beat task writes them down.

The scheme of a well-known error tracker: a hash of what is to be added for each row, a
sorted set of the rows that wait, and tasks that take the one and update the other. What
was acknowledged and not yet written is lost with Valkey, or with a worker in between.
"""

from __future__ import annotations

import os
from typing import Any

import django

django.setup()

import redis  # noqa: E402
from celery import Celery  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db.models import F  # noqa: E402

from benchmarks.plain.models import PlainCounter  # noqa: E402

FLUSH_EVERY_SECONDS = 1.0
ROWS_A_TASK = 100
PENDING = "buffer:pending"

# Not the current app: that is the project's, whose triggers look for it.
app = Celery(
    "buffering", broker=os.environ.get("CELERY_BROKER_URL"), set_as_current=False
)
app.conf.update(
    task_default_queue="buffering",
    task_ignore_result=True,
    beat_schedule={
        "flush": {
            "task": "buffering.flush",
            "schedule": FLUSH_EVERY_SECONDS,
            "options": {"expires": FLUSH_EVERY_SECONDS},
        }
    },
)


def client() -> Any:
    return redis.Redis.from_url(settings.CACHES["default"]["LOCATION"])


@app.task(name="buffering.flush")
def flush() -> None:
    """Hand the rows that wait to tasks, some at a time."""
    rows: list[bytes] = client().zrange(PENDING, 0, -1)
    waiting = [int(key) for key in rows]
    for first in range(0, len(waiting), ROWS_A_TASK):
        apply_increments.delay(waiting[first : first + ROWS_A_TASK])


@app.task(name="buffering.apply")
def apply_increments(keys: list[int]) -> None:
    """Take what each row is to get, and add it."""
    for key in keys:
        with client().pipeline(transaction=True) as pipe:
            pipe.hget(f"buffer:{key}", "total")
            pipe.delete(f"buffer:{key}")
            pipe.zrem(PENDING, key)
            taken, *_ = pipe.execute()
        if taken:
            PlainCounter._default_manager.filter(name=f"c{key}").update(
                total=F("total") + int(taken)
            )
