"""What each trigger benchmark stands on: embedded servers, a database, Django."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import django

from counters_project.embedded.pair import running


@contextmanager
def prepared(**variables: str) -> Iterator[Path]:
    """Start PostgreSQL and Valkey, migrate, set Django up; yield the data directory."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")
    os.environ["COUNTERS_ROLE"] = "web"
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(50))
    os.environ["LOG_LEVEL"] = "ERROR"
    with tempfile.TemporaryDirectory(prefix="counters-bench-") as name:
        data_dir = Path(name)
        with running(data_dir / "embedded") as urls:
            os.environ |= {
                "DATA_DIR": name,
                "DATABASE_URL": urls.database_url,
                "CELERY_BROKER_URL": urls.broker_url,
                "CACHE_URL": urls.cache_url,
                **variables,
            }
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "--verbosity=0"], check=True
            )
            django.setup()
            models = import_module("counters.models")
            models.Namespace.objects.create(name="bench")
            yield data_dir


@dataclass
class Measured:
    """Adds of several threads."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    cpu_seconds: float = 0.0

    def at(self, share: float) -> float:
        """Return a quantile, in microseconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e6

    @property
    def cpu(self) -> float:
        """CPU time of this process for each add, in microseconds."""
        return self.cpu_seconds / len(self.seconds) * 1e6


def adds(measured: Measured, *, threads: int, seconds: float, counters: int) -> None:
    """Add from several threads for a time, each as fast as it can."""
    recording: Any = import_module("counters.recording")
    connections: Any = import_module("django.db").connections
    until = time.perf_counter() + seconds
    lock = threading.Lock()

    def write(number: int) -> None:
        mine, errors, turn = [], 0, number
        while (began := time.perf_counter()) < until:
            turn += 1
            try:
                recording.add(namespace="bench", name=f"c{turn % counters}")
            except Exception:
                errors += 1
            mine.append(time.perf_counter() - began)
        connections.close_all()
        with lock:
            measured.seconds += mine
            measured.errors += errors

    before = time.process_time()
    _together([partial(write, number) for number in range(threads)])
    measured.cpu_seconds += time.process_time() - before


def _together(calls: list[Callable[[], None]]) -> None:
    running = [threading.Thread(target=call) for call in calls]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
