"""Under random faults: no trigger is unaccounted for, no pending counter unfound."""

from __future__ import annotations

import os
import random
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db.models import F
from pytest_django import Settings

from counters import events
from counters.models import Counter, Event, LastWrite, Namespace
from rollups.folding.sweep import sweep
from rollups.models import Rollup, Sweep
from rollups.worker.message_handler import work
from tests.faults.brokers import OwnBroker, Proxy
from tests.faults.conftest import (
    Publishing,
    adds_up,
    sent_to,
    settled,
    wait_until_settled,
)
from tests.programs import wait_until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.own_brokers,
    pytest.mark.django_db(transaction=True),
]
FAULTS, COUNTERS_EACH = 12, 25
SEEDS = range(3 if "LONG_TESTS" in os.environ else 1)


@pytest.mark.parametrize("mode", ["background", "inline"])
@pytest.mark.parametrize("seed", SEEDS)
def test_accounting__under_random_faults_every_counter_is_triggered_or_healed(
    committed_namespace: Namespace,
    own_broker: OwnBroker,
    publishing_to: Publishing,
    settings: Settings,
    mode: str,
    seed: int,
) -> None:
    """Each counter is written to once or twice, while the broker is sick in some way."""
    settings.ROLLUPS_TRIGGER = mode
    settings.ROLLUPS_TRIGGER_TIMEOUT_SECONDS = 0.1
    settings.ROLLUPS_TRIGGER_WAITING_COUNTERS = COUNTERS_EACH // 2
    settings.ROLLUPS_SWEEP_GRACE_SECONDS = 0
    chance = random.Random(seed)
    proxy = Proxy(own_broker.url)
    with publishing_to(proxy.url) as made:
        for number in range(FAULTS):
            made.breaker.reset()
            with fault(proxy, chance):
                add(f"{number}.", chance)
                wait_until(lambda: settled(made) or made.breaker.is_open, "it hangs")
            assert adds_up(made)
        wait_until_settled(made)
        triggered = work_on_messages(own_broker)
        assert triggered < Counter.objects.count(), "no trigger was lost"

        while LastWrite.objects.exists():
            made.breaker.reset()
            Sweep.objects.update(swept_at=F("swept_at") - timedelta(minutes=1))
            assert sweep() is not None
            # A message that was held up on its way may come as late as this.
            triggered += work_on_messages(own_broker)
    proxy.close()

    counts = made.counts
    lost = counts.failed.total() + counts.dropped.total()
    assert counts.requested == counts.coalesced + counts.published + lost
    healed = sum(Sweep.objects.values_list("healed", flat=True))
    assert triggered + healed == Counter.objects.count()
    assert triggered
    totals = Rollup.objects.values_list("total", flat=True)
    assert sum(int(total) for total in totals) == Event.objects.count()


def fault(proxy: Proxy, chance: random.Random) -> AbstractContextManager[None]:
    """None, or connections that are cut somewhere or fall silent."""
    draw = chance.random()
    if draw < 0.3:
        return nullcontext()
    if draw < 0.8:
        return proxy.cutting_after(chance.randrange(2_000))
    return proxy.silent()


def add(prefix: str, chance: random.Random) -> None:
    for number in range(COUNTERS_EACH):
        for _ in range(chance.choice([1, 1, 2])):
            events.add(namespace="test", name=f"{prefix}{number}")


def work_on_messages(broker: OwnBroker) -> int:
    """Be the worker; return how many counters the triggers' messages got folded."""
    triggered = 0
    for counter_ids, options in sent_to(broker.url):
        cache.clear()
        before = folded()
        assert work(counter_ids, **options) == []
        if "sweep_id" not in options:
            triggered += folded() - before
    return triggered


def folded() -> int:
    return Rollup.objects.filter(events__gt=0).count()
