"""Fixtures that every layer shares; factories are fixtures that return functions."""

from __future__ import annotations

from collections import Counter as TallyOf
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.core.management.commands import flush
from django.db import connections

import counters.receivers
import rollups.receivers
from counters.db import clock
from counters.models import Counter, LastWrite, Namespace
from counters.namespaces import access, api_tokens, lookup
from rollups.models import Rollup
from rollups.monitor import heartbeat
from rollups.trigger import publisher
from rollups.trigger.publisher import Publisher
from tests.servers import SERVERS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `broker_url` on every broker of this run."""
    if "broker_url" in metafunc.fixturenames:
        urls = metafunc.config.stash[SERVERS].broker_urls
        metafunc.parametrize(
            "broker_url", urls, ids=[url.split(":")[0] for url in urls]
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let no two tests share an id: of those, pytest-xdist would run one."""
    for item in items:
        # schemathesis tells the calls of the API apart in the tests' names only.
        if call := getattr(item, "operation_label", None):
            item._id = item.id.with_params(call)
    ids = [item.nodeid for item in items]
    shared = [each for each, times in TallyOf(ids).items() if times > 1]
    if shared:
        raise pytest.UsageError(f"Tests of the same id: {shared}")


@pytest.fixture(scope="session", autouse=True)
def _short_flush() -> Iterator[None]:
    """Keep content types and permissions: making them took half of each flush."""
    kept = {"auth_permission", "django_content_type"}

    def truncate(
        style: Any, connection: Any, reset_sequences: bool, allow_cascade: bool
    ) -> list[str]:
        tables = connection.introspection.django_table_names(
            only_existing=True, include_views=False
        )
        others = [table for table in tables if table not in kept]
        sql: list[str] = connection.ops.sql_flush(
            style,
            others,
            reset_sequences=reset_sequences,
            allow_cascade=allow_cascade,
        )
        return sql

    def after_migrate(verbosity: int, interactive: bool, db: str) -> None:
        counters.receivers.make_partitions(using=db)
        rollups.receivers.create_declared_namespaces(using=db, verbosity=verbosity)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", truncate)
        patch.setattr(flush, "emit_post_migrate_signal", after_migrate)
        yield


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """A namespace that an earlier test made is gone from the database."""
    lookup.forget_all()
    access.forget_all()
    api_tokens.forget_all()
    publisher.get().breaker.reset()


@pytest.fixture(autouse=True)
def _no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that a test runs in this process would go on reporting itself in later tests."""
    monkeypatch.setattr(heartbeat, "start", lambda role: None)


@pytest.fixture
def namespace(db: None) -> Namespace:
    return Namespace.objects.create(name="test")


@pytest.fixture
def committed_namespace(transactional_db: None) -> Namespace:
    """A namespace that other connections see."""
    return Namespace.objects.create(name="test")


@pytest.fixture
def loose(namespace: Namespace) -> Iterator[Namespace]:
    """A best-effort namespace, on an empty cache."""
    namespace.counter_type = "best-effort"
    namespace.save()
    cache.clear()
    yield namespace
    cache.clear()


@pytest.fixture
def triggers(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Collects the triggers that are requested, instead of sending them to the broker."""
    fired: list[list[int]] = []

    def collect(
        self: Publisher, counter_ids: Collection[int], *, events: int = 0, **_: object
    ) -> int:
        self.count_adds(events)
        fired.append(sorted(counter_ids))
        return len(counter_ids)

    monkeypatch.setattr(Publisher, "put", collect)
    monkeypatch.setattr(Publisher, "publish", collect)
    return fired


@pytest.fixture(params=[31, -31], ids=["ahead", "behind"])
def wrong_by(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[timedelta]:
    """How far this host's clock is ahead of the database's. Ask for it before sessions."""
    difference = timedelta(days=request.param)
    monkeypatch.setattr(clock, "_ahead", None)
    with time_machine.travel(datetime.now(UTC) + difference):
        yield difference


@pytest.fixture
def real_now(wrong_by: timedelta) -> Callable[[], datetime]:
    """Tell the database's time, without a query."""
    return lambda: datetime.now(UTC) - wrong_by


@pytest.fixture
def is_now(real_now: Callable[[], datetime]) -> Callable[[datetime], bool]:
    """Tell whether a time is the database's: every test runs within three minutes."""
    return lambda at: abs(at - real_now()) < timedelta(minutes=3)


@pytest.fixture
def counter_id() -> Callable[[str], int]:
    def find(name: str) -> int:
        return Counter.objects.get(name=name).pk

    return find


@pytest.fixture
def rollup_of() -> Callable[[str], Rollup]:
    def find(name: str) -> Rollup:
        return Rollup.objects.get(counter__name=name)

    return find


@pytest.fixture
def pending_names() -> Callable[[], set[str]]:
    """Names of the counters that have last writes."""

    def find() -> set[str]:
        ids = LastWrite.objects.values_list("counter_id", flat=True)
        return set(Counter.objects.filter(pk__in=ids).values_list("name", flat=True))

    return find


class Threads(ThreadPoolExecutor):
    """Threads that give their connections back when they end their work."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        def run() -> Any:
            try:
                return fn(*args, **kwargs)
            finally:
                connections.close_all()

        return super().submit(run)


@pytest.fixture
def threads() -> Iterator[Threads]:
    with Threads(max_workers=32) as pool:
        yield pool
