"""Durable servers, a migrated database and Django: the ground of each benchmark."""

from __future__ import annotations

import os
import platform
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import django
import psutil
import psycopg
from django.db import connection

from counters_project.embedded.servers import running

PLACE = ("dbname", "user", "password", "host", "port")
# The meaning of "acknowledged": a server with other settings is refused.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
PACKAGES = ["Django", "celery", "kombu", "psycopg", "djangorestframework", "gunicorn"]


@contextmanager
def prepared(**variables: str) -> Iterator[Path]:
    """Migrate a database and set Django up; yield the data directory.

    Uses the servers of DATABASE_URL, CELERY_BROKER_URL and CACHE_URL if the first is set,
    otherwise embedded servers. Raises SystemExit if PostgreSQL is not durable.
    """
    before = dict(os.environ)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(50))
    os.environ |= {"COUNTERS_ROLE": "web", "LOG_LEVEL": "ERROR"}
    with ExitStack() as stack:
        # A later run must not use servers that have stopped.
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
        yield Path(name)


def _restore(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ |= environment


def execute(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement without a time-out; return its rows."""
    with connect() as own:
        cursor = own.execute(statement, parameters or None)
        return list(cursor.fetchall()) if cursor.description else []


def connect() -> psycopg.Connection[Any]:
    """Return a connection of psycopg alone: the project's has limits on its time."""
    known = connection.get_connection_params()
    where: dict[str, Any] = {key: known.get(key) for key in PLACE}
    return psycopg.connect(**where, autocommit=True)


def facts() -> dict[str, str]:
    """Return the machine, versions, durability, commit and time of a run."""
    [(postgres,)] = execute("SHOW server_version")
    [(shared_buffers,)] = execute("SHOW shared_buffers")
    gigabytes = psutil.virtual_memory().total / 2**30
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {gigabytes:.0f} GiB,"
        f" {platform.system()} {platform.machine()}",
        "PostgreSQL": f"{postgres}, shared_buffers={shared_buffers}",
        "durability": ", ".join(f"{k}={v}" for k, v in DURABLE.items()),
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "commit": _commit(),
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }


def _check_durable() -> None:
    for name, wanted in DURABLE.items():
        [(found,)] = execute(f"SHOW {name}")
        if found != wanted:
            sys.exit(f"PostgreSQL has {name}={found}. The benchmarks need {wanted}.")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _commit() -> str:
    git = ["git", "describe", "--always", "--dirty"]
    answer = subprocess.run(git, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
