"""Every peer counts: what it is compared by is a total that is right."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

import pytest
from celery import current_app
from django.core.cache import cache
from django.db import connection

from benchmarks import buffering, peers, programs
from benchmarks.loads import HOT, Load
from benchmarks.plain.models import PlainCounter
from rollups.worker import debounce

NAMES = [one.name for one in pkgutil.iter_modules(peers.__path__) if one.name != "http"]
STEPS = 3


@pytest.mark.parametrize("name", NAMES)
def test_peer__says_what_it_is(name: str) -> None:
    peer = import_module(f"benchmarks.peers.{name}")

    assert peer.TITLE
    assert peer.STEP_EVENTS >= 1
    assert set(peer.BESIDE) <= programs.KINDS.keys()


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("update_f", "SELECT sum(total) FROM plain_plaincounter"),
        ("update_f_in_request", "SELECT sum(total) FROM plain_plaincounter"),
        ("slots", "SELECT sum(total) FROM bench_slot"),
        ("bare_insert", "SELECT sum(delta) FROM bench_log"),
        ("bare_insert_many", "SELECT sum(delta) FROM bench_log"),
        ("add", "SELECT sum(delta) FROM counters_event"),
        ("add_in_request", "SELECT sum(delta) FROM counters_event"),
        ("add_many", "SELECT sum(delta) FROM counters_event"),
    ],
)
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("bench_namespace", "bench_tables")
def test_peer__counts_every_step(name: str, table: str) -> None:
    peer = import_module(f"benchmarks.peers.{name}")
    peer.setup(HOT.counters)

    for _ in range(STEPS):
        peer.step(0)

    with connection.cursor() as cursor:
        cursor.execute(table)
        [(total,)] = cursor.fetchall()
    assert total == STEPS * peer.STEP_EVENTS


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("bench_tables")
def test_buffered__is_in_the_table_after_a_flush(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peer: Any = import_module("benchmarks.peers.buffered")
    task: Any = buffering.apply_increments
    monkeypatch.setattr(task, "delay", task)
    buffering.client().flushdb()
    peer.setup(2)

    for key in (0, 1, 0):
        peer.step(key)
    assert list(PlainCounter._default_manager.values_list("total", flat=True)) == [0, 0]
    buffering.flush()
    buffering.flush()

    totals = PlainCounter._default_manager.order_by("name").values_list(
        "total", flat=True
    )
    assert list(totals) == [2, 1]


def test_cache_incr__counts_every_step() -> None:
    cache.clear()
    peer: Any = import_module("benchmarks.peers.cache_incr")
    peer.setup(1)

    for _ in range(STEPS):
        peer.step(0)

    assert cache.get("bench-0") == STEPS
    debounce.hang_up()


def test_load__spreads_as_it_says() -> None:
    uniform, zipf = Load(100, "uniform").keys(seed=1), Load(100, "zipf").keys(seed=1)

    assert set(HOT.keys(seed=1)) == {0}
    assert set(uniform) == set(range(100)) == set(zipf)
    assert uniform.count(0) < len(uniform) / 50
    # 1 / sum of k^-1.1 over a hundred is a little more than a quarter.
    assert 0.2 < zipf.count(0) / len(zipf) < 0.3
    assert Load(100, "zipf").keys(seed=1) == zipf != Load(100, "zipf").keys(seed=2)


def test_buffering__leaves_the_projects_app_the_current_one() -> None:
    """Triggers declare their queue by it; on RabbitMQ another's would be refused."""
    assert current_app.main == "counters"
    assert buffering.app.main == "buffering"
