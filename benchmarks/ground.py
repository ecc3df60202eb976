"""What each benchmark stands on: durable servers, a database, Django."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import django
import psycopg

from counters_project.embedded.pair import running

COUNTERS = """
INSERT INTO counters_counter (namespace_id, name)
SELECT (SELECT id FROM counters_namespace WHERE name = 'bench'), 'c' || i
FROM generate_series(0, %s - 1) AS i
ON CONFLICT DO NOTHING
"""
ROLLUPS = """
INSERT INTO rollups_rollup (counter_id, namespace_id, watermark, watermark_at)
SELECT id, namespace_id, pg_current_snapshot(), now() FROM counters_counter
ON CONFLICT DO NOTHING
"""
PLACE = ("dbname", "user", "password", "host", "port")
# What "acknowledged" is to mean; no figure here is of a server that is set otherwise.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


@contextmanager
def prepared(**variables: str) -> Iterator[Path]:
    """Migrate a database and set Django up; yield the data directory.

    Uses the servers of DATABASE_URL, CELERY_BROKER_URL and CACHE_URL where the first is
    set, else embedded ones. Raises SystemExit where PostgreSQL is not durable.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")
    os.environ["COUNTERS_ROLE"] = "web"
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(50))
    os.environ["LOG_LEVEL"] = "ERROR"
    with ExitStack() as stack:
        before = dict(os.environ)
        stack.callback(_restore, before)
        name = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="counters-bench-")
        )
        os.environ["DATA_DIR"] = name
        if not os.environ.get("DATABASE_URL"):
            urls = stack.enter_context(running(Path(name) / "embedded"))
            os.environ |= {
                "DATABASE_URL": urls.database_url,
                "CELERY_BROKER_URL": urls.broker_url,
                "CACHE_URL": urls.cache_url,
            }
        os.environ |= variables
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0"], check=True
        )
        django.setup()
        _check_durable()
        models: Any = import_module("counters.models")
        models.Namespace.objects.get_or_create(name="bench")
        yield Path(name)


def _restore(environment: dict[str, str]) -> None:
    """So that nobody later takes servers that have stopped for ones that were asked for."""
    os.environ.clear()
    os.environ |= environment


def execute(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement, however long it takes; return its rows."""
    with patient_connection() as connection:
        cursor = connection.execute(statement, parameters or None)
        return list(cursor.fetchall()) if cursor.description else []


def patient_connection() -> psycopg.Connection:
    """Return a connection of our own: the project's give up on a long statement."""
    parameters_of: Any = import_module("django.db").connection.get_connection_params
    where = {key: parameters_of().get(key) for key in PLACE}
    return psycopg.connect(**where, autocommit=True)


def create_counters(counters: int) -> None:
    """Make `c0`, `c1`, ... in the namespace `bench`, each with a rollup."""
    execute(COUNTERS, [counters])
    execute(ROLLUPS)
    execute("VACUUM ANALYZE counters_counter, rollups_rollup")


def api_token() -> str:
    """Make an API token that may write in `bench`."""
    users: Any = import_module("django.contrib.auth").get_user_model().objects
    granting: Any = import_module("counters.namespaces.access")
    token_keeping: Any = import_module("counters.namespaces.api_tokens")
    users.get_or_create(username="bench")
    granting.grant(namespace="bench", to="bench", rights=["read", "write"])
    _, token = token_keeping.create(user="bench")
    return str(token)


def _check_durable() -> None:
    for name, wanted in DURABLE.items():
        [(found,)] = execute(f"SHOW {name}")
        if found != wanted:
            sys.exit(f"PostgreSQL has {name}={found}; these figures need {wanted}.")


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
    recording: Any = import_module("counters.events")
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
