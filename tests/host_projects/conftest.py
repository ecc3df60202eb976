"""The guide's project (examples/blog) with other settings, as its users have them.

The apps are linked into a separate folder, so nothing else of this repository can be imported.
`HOST_PYTHON` names another Python that has the packages which the guide installs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import conninfo, sql

from tests.servers import Servers

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = os.environ.get("HOST_PYTHON", sys.executable)
TIMEOUT_SECONDS = 100


class Host:
    """A project on disk, with two empty databases."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home = home
        self.environment = environment

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            file = self.home / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PYTHON, *words],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def manage(self, *words: str) -> str:
        """Run a command; return what it printed."""
        done = self.run("manage.py", *words)
        assert done.returncode == 0, f"manage.py {words}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def refused(self, *words: str) -> str:
        """Run a command that must fail; return its message, which must not be a traceback."""
        done = self.run("manage.py", *words)
        assert done.returncode != 0, f"manage.py {words}\n{done.stdout}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr

    def python(self, script: str) -> str:
        return self.manage("shell", "--no-imports", "-c", script)


@pytest.fixture
def make_host(servers: Servers, tmp_path: Path) -> Iterator[Callable[[str], Host]]:
    """Return a function that makes the guide's project with more settings."""
    admin = conninfo.make_conninfo(servers.database_url, dbname="postgres")
    server = conninfo.conninfo_to_dict(servers.database_url)
    apps = tmp_path / "apps"
    apps.mkdir()
    for app in ("counters", "rollups"):
        (apps / app).symlink_to(ROOT / app)
    names: list[str] = []

    def make(settings: str) -> Host:
        name = f"host_{uuid4().hex[:12]}"
        for database in (name, f"{name}_second"):
            create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database))
            connection.execute(create)
            names.append(database)
        home = tmp_path / name
        shutil.copytree(
            ROOT / "examples/blog",
            home,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        host = Host(
            home,
            {
                key: value
                for key, value in os.environ.items()
                if not key.startswith(
                    ("CELERY_", "DATABASE_", "DJANGO_", "PROMETHEUS_", "PG", "PYTEST_")
                )
            }
            | {
                "DJANGO_SETTINGS_MODULE": "host.settings",
                "PYTHONPATH": str(apps),
                "PYTHONDONTWRITEBYTECODE": "1",
                "PGDATABASE": name,
                "PGHOST": str(server["host"]),
                "PGPORT": str(server.get("port", 5432)),
                "PGUSER": str(server["user"]),
                "CACHE_URL": servers.cache_url,
                "CELERY_BROKER_URL": servers.broker_url,
            },
        )
        host.write(
            {
                "host/__init__.py": "",
                "host/settings.py": f"from blog.settings import *\n{settings}",
            }
        )
        return host

    with psycopg.connect(admin, autocommit=True) as connection:
        yield make
        for name in names:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))
