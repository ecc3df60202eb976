"""What the pictures show: a small shop, its counters, and one that cannot be folded."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import User

from counters import events as record
from counters.events import NewEvent
from counters.models import Counter, LastWrite, Namespace
from rollups.models import Failure, Process, Rollup, Sample, Sweep

BOSS, PASSWORD = "boss", "only for these pictures"
HOURS, EVENTS = 23, 120_000
BATCH = 10_000
LAGGING = "page/checkout"
PAGES = [
    "page/home",
    "page/search",
    "page/cart",
    LAGGING,
    *(f"page/product/{name}" for name in ("lamp", "desk", "chair", "shelf", "mirror")),
    *(f"order/{state}" for state in ("placed", "paid", "shipped", "returned")),
    *(f"banner/{season}" for season in ("spring", "summer", "autumn", "winter")),
]
_SETTLED_WITHIN_SECONDS = 60
# The same pictures each time, but for their times.
_dice = random.Random(7)  # noqa: S311


def fill() -> None:
    """Fill the running service, and wait until its workers have folded what they can."""
    User.objects.create_superuser(BOSS, password=PASSWORD)
    User.objects.create_user("shop-frontend")
    for name, description in (
        ("shop", "What visitors of the shop look at and do."),
        ("mail", "Mails sent, opened and bounced."),
    ):
        Namespace.objects.create(name=name, description=description)
    _report_triggers()
    events = list(_history(datetime.now(UTC)))
    for first in range(0, len(events), BATCH):
        record.add_many(events[first : first + BATCH])
    _wait_until_folded(len(events))
    _make_one_lag()
    _draw_the_last_hour()


def _history(now: datetime) -> Iterator[NewEvent]:
    weights = [1 / (1 + place) for place in range(len(PAGES))]
    names = _dice.choices(PAGES, weights, k=EVENTS)
    for number, name in enumerate(names):
        hours_ago = HOURS * _dice.random()
        hour = (now - timedelta(hours=hours_ago)).hour
        # Few visit at night.
        if _dice.random() > 0.3 + 0.7 * math.sin(math.pi * hour / 24):
            continue
        yield NewEvent(
            "mail" if name.startswith("order/") and number % 3 == 0 else "shop",
            name,
            1,
            token=str(UUID(int=_dice.getrandbits(128), version=4)),
            generation_time=now - timedelta(hours=hours_ago),
        )


def _wait_until_folded(events: int) -> None:
    """Wait until the samples know it, too: processes report every ten seconds."""
    until = time.monotonic() + _SETTLED_WITHIN_SECONDS
    while time.monotonic() < until:
        last = Sample.objects.order_by("-sampled_at").first()
        if last and min(last.inserted, last.numbers.get("events_folded", 0)) >= events:
            return
        time.sleep(0.5)


def _report_triggers() -> None:
    """As a web server would have that took a day's adds one by one."""
    Process.objects.create(
        id=UUID(int=1),
        role="web",
        host="shop-2",
        pid=4711,
        numbers={
            "requested": 84_310,
            "coalesced": 61_022,
            "published": 23_279,
            "failed": 9,
            "healed": 9,
        },
    )


def _make_one_lag() -> None:
    """As if the disk had been full when this counter was to be folded."""
    counter = Counter.objects.get(namespace__name="shop", name=LAGGING)
    now = datetime.now(UTC)
    ago = timedelta(seconds=95)
    Failure.objects.create(
        counter_id=counter.pk,
        error="OperationalError: could not extend file: No space left on device",
        attempts=6,
        failed_since=now - ago,
        failed_at=now - ago / 2,
        next_try_at=now + timedelta(minutes=20),
    )
    for _ in range(37):
        record.add(namespace="shop", name=LAGGING)
    LastWrite.objects.filter(counter_id=counter.pk).update(pending_since=now - ago)
    Rollup.objects.filter(pk=counter.pk).update(watermark_at=now - ago)


def _draw_the_last_hour() -> None:
    """Put samples in place of those that show how all this was filled in."""
    last = Sample.objects.latest("sampled_at")
    now = datetime.now(UTC)
    added = 0.0
    Sample.objects.all().delete()
    Sweep.objects.all().delete()
    for number in range(1, 60):
        healed = int(number % 23 == 7)
        Sweep.objects.create(
            swept_at=now - timedelta(seconds=5 * number),
            pending=1 + _dice.randrange(4),
            overdue=healed,
            healed=healed,
            oldest_lag=timedelta(seconds=max(0.4, 95 - 5 * number)),
        )
    for half_minutes in range(125):
        minute = half_minutes / 2
        wave = 1.2 + math.sin(minute / 9) + 0.5 * _dice.random()
        busy = wave * (2.5 if 22 < minute < 31 else 1)
        added += 300 * busy
        share = 1 - minute / 90
        Sample.objects.create(
            sampled_at=now - timedelta(minutes=minute),
            pending=1 + round(2 * busy),
            lag_p50_seconds=0.02 + 0.01 * busy,
            lag_p99_seconds=0.05 + 0.04 * busy,
            lag_max_seconds=0.1 * busy,
            inserted=round(last.inserted - added),
            numbers={
                name: round(number - added)
                if name == "events_folded"
                else round(number * share)
                for name, number in last.numbers.items()
            },
        )
