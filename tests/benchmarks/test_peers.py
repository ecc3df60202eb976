"""Each peer counts every step."""

from __future__ import annotations

from contextlib import nullcontext
from threading import BrokenBarrierError
from typing import Any

import pytest
from celery import current_app
from django.core.cache import cache
from django.db import connection

from benchmarks import programs
from benchmarks.clients import HOT, Done, Load, Orders, run
from benchmarks.peers import valkey
from benchmarks.peers.registry import WAYS
from benchmarks.plain.models import PlainCounter
from benchmarks.suites.staleness import returned, stale

STEPS = 3


def test_peers__name_known_programs() -> None:
    assert {
        name for way in WAYS.values() for name in way.programs
    } <= programs.KINDS.keys()


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("update_f", "SELECT sum(total) FROM plain_plaincounter"),
        ("update_f_in_request", "SELECT sum(total) FROM plain_plaincounter"),
        ("slots", "SELECT sum(total) FROM bench_slot"),
        ("bare_insert", "SELECT sum(delta) FROM bench_log"),
        ("bare_insert_many", "SELECT sum(delta) FROM bench_log"),
        ("bare_insert_many_with_tokens", "SELECT count(token) FROM bench_log"),
        ("add", "SELECT sum(delta) FROM counters_event"),
        ("add_with_token", "SELECT sum(delta) FROM counters_event"),
        ("add_in_request", "SELECT sum(delta) FROM counters_event"),
        ("add_many", "SELECT sum(delta) FROM counters_event"),
        ("add_many_with_tokens", "SELECT count(token) FROM counters_event"),
    ],
)
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("bench_namespace", "bench_tables")
def test_peer__counts_every_step(name: str, table: str) -> None:
    peer = WAYS[name]
    peer.setup(HOT.counters)

    for _ in range(STEPS):
        peer.step(0)

    with connection.cursor() as cursor:
        cursor.execute(table)
        [(total,)] = cursor.fetchall()
    assert total == STEPS * peer.step_events


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("bench_tables")
def test_buffered__is_in_the_table_after_a_flush(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peer = WAYS["buffered"]
    task: Any = valkey.apply_increments
    monkeypatch.setattr(task, "delay", task)
    valkey.client().flushdb()
    peer.setup(2)

    for key in (0, 1, 0):
        peer.step(key)
    assert list(PlainCounter._default_manager.values_list("total", flat=True)) == [0, 0]
    valkey.flush()
    valkey.flush()

    totals = PlainCounter._default_manager.order_by("name").values_list(
        "total", flat=True
    )
    assert list(totals) == [2, 1]


def test_cache_incr__counts_every_step() -> None:
    cache.clear()
    peer = WAYS["cache_incr"]
    peer.setup(1)

    for _ in range(STEPS):
        peer.step(0)

    assert cache.get("bench-0") == STEPS


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
    assert valkey.app.main == "buffering"


def test_run__shares_clients_as_threads_of_processes() -> None:
    cache.clear()
    WAYS["cache_incr"].setup(1)
    orders = Orders(peer="cache_incr", load=HOT, clients=5, processes=2, seconds=0.2)

    turn = run(orders, meanwhile=nullcontext())

    assert [one.first_error for one in turn.clients] == [""] * 5
    # The clients have warmed up with more steps.
    assert {key for one in turn.clients for key, _ in one.ended} == {0}
    assert cache.get("bench-0") > sum(len(one.step_seconds) for one in turn.clients) > 0


def test_run__ends_at_once_if_a_client_cannot_warm_up() -> None:
    cache.clear()  # so the counter does not exist
    orders = Orders(peer="cache_incr", load=HOT, clients=2, processes=1, seconds=60)

    with pytest.raises(BrokenBarrierError):
        run(orders, meanwhile=nullcontext())


def test_returned__are_the_times_of_each_key_in_order() -> None:
    clients = [
        Done(1.0, [], [(1, 0.3), (2, 0.4), (1, 0.5)], 0),
        Done(1.0, [], [(2, 0.1), (1, 0.2)], 0),
    ]

    assert returned(clients) == {1: [0.2, 0.3, 0.5], 2: [0.1, 0.4]}


def test_stale__is_the_time_from_an_add_to_the_look_that_shows_it() -> None:
    """Two events were folded before; the third add was seen by no look yet."""
    looks = [(2, 0.0), (3, 0.25), (4, 0.75)]

    assert stale(looks, [0.25, 0.5, 0.9]) == [0.0, 0.25]
