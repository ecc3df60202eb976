"""Expose the metrics of all processes of this machine and of the database.

A web process serves both at `/metrics`. On a machine without a web process, a worker serves
the processes' numbers at ROLLUPS_METRICS_PORT. Without a directory that the processes of a
machine share, each process exposes its own numbers.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from psycopg_pool import PoolTimeout

from counters.db import errors, timeouts
from counters.db.statements import fetch
from rollups import conf
from rollups.monitor import metrics, status

logger = logging.getLogger(__name__)

# Prometheus itself waits for ten seconds.
_DATABASE_WITHIN_SECONDS = 3
# The sums of all ended processes; no process has the id 0.
_ENDED = "0"
_SUMMED_KINDS = ("counter", "histogram")
DATABASE_GAUGES = {
    "rollups_pending_counters": "Counters that have events which are not folded.",
    "rollups_lag_seconds": "Longest time that a counter has been pending.",
    "rollups_last_sweep_age_seconds": "Time since the last sweep began.",
    "rollups_quarantined_counters": "Counters whose last fold failed.",
    "rollups_anchored": "0 after a restore into another cluster, until `reanchor` has run.",
}


def expose() -> bytes:
    """Return everything in the text format of Prometheus."""
    registry = CollectorRegistry()
    # Before the lock, so that a slow database does not block the other readers.
    registry.register(_Database(list(_database_metrics())))
    directory = conf.metrics_dir()
    if directory is None:
        return generate_latest(registry) + generate_latest(REGISTRY)
    registry.register(_Processes(directory))
    return generate_latest(registry)


def serve(port: int) -> None:
    """Serve the metrics of this machine from a thread, on all addresses."""
    registry = REGISTRY
    if directory := conf.metrics_dir():
        registry = CollectorRegistry()
        registry.register(_Processes(directory))
    try:
        start_http_server(port, registry=registry)
    except OSError as error:
        logger.error("ROLLUPS_METRICS_PORT=%d cannot be used: %s", port, error)


class _Processes(Collector):
    """Collect the metrics of the processes of this machine."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        with _locked(self._directory):
            _add_up_ended(self._directory)
            collect: Any = MultiProcessCollector
            return list(collect(None, str(self._directory)).collect())


class _Database(Collector):
    """Collect the metrics of the database."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _database_metrics() -> Iterator[Metric]:
    """Yield the database's numbers; if it does not answer, only that it is down."""
    try:
        with timeouts.at_most(_DATABASE_WITHIN_SECONDS):
            now = status.measure()
            summed = dict(fetch(connection, "rollups", "sum_processes"))
    except (DatabaseError, PoolTimeout) as error:
        errors.drop_broken_connections(error)
        yield GaugeMetricFamily(
            "rollups_database_up", "1 if the database answers, otherwise 0.", value=0
        )
        return
    values = (
        now.pending,
        now.lag_seconds,
        now.last_sweep_age_seconds,
        now.quarantined,
        int(now.is_anchored),
    )
    yield GaugeMetricFamily(
        "rollups_database_up", "1 if the database answers, otherwise 0.", value=1
    )
    for (name, text), value in zip(DATABASE_GAUGES.items(), values, strict=True):
        if value is not None:
            yield GaugeMetricFamily(name, text, value=value)
    for name, text in metrics.DATABASE_COUNTERS.items():
        yield CounterMetricFamily(f"rollups_{name}", text, value=summed.get(name, 0))


def tidy_up() -> None:
    """Add up the files of ended processes, so that the directory stays small."""
    directory = conf.metrics_dir()
    if directory is not None and directory.is_dir():
        with _locked(directory):
            _add_up_ended(directory)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Lock out other readers and writers: values that are being moved would count twice."""
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _add_up_ended(directory: Path) -> None:
    for path in directory.glob("*.db"):
        kind, _, pid = path.stem.rpartition("_")
        if pid == _ENDED or not pid.isdigit() or _is_running(int(pid)):
            continue
        if kind in _SUMMED_KINDS:
            _move_values(path, directory / f"{kind}_{_ENDED}.db")
        path.unlink(missing_ok=True)


def _move_values(source: Path, target: Path) -> None:
    untyped: Any = MmapedDict
    values = untyped.read_all_values_from_file(str(source))
    total = untyped(str(target))
    try:
        for key, value, timestamp, _ in values:
            kept, _ = total.read_value(key)
            total.write_value(key, kept + value, timestamp)
    finally:
        total.close()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
