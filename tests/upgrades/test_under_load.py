"""Processes that add all the time, while everything is migrated under them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from tests import programs
from tests.programs import ROOT, TIMEOUT_SECONDS, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

WRITERS = 2
# The newest schemas that an older version knew: with the old key of the events.
OLD_ROLLUPS, OLD_COUNTERS = "0002", "0004"
# What a writer does: any error ends it, and its output is what it was acknowledged.
PROGRAM = """
import sys
from pathlib import Path
import django
django.setup()
from counters import events
stop, mine = Path(sys.argv[-2]), Path(sys.argv[-1])
adds = 0
while not stop.exists():
    events.add(namespace="demo", name=f"c{adds % 7}")
    adds += 1
    mine.write_text(str(adds))
"""


class Database:
    """A database of its own, on the server of this run."""

    def __init__(self, url: str) -> None:
        self.env = os.environ | {
            "DATABASE_URL": url,
            "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
        }
        self.url = url

    def manage(self, *words: str, settings: str = "counters_project.settings") -> str:
        ended = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.env | {"DJANGO_SETTINGS_MODULE": settings},
            capture_output=True,
            text=True,
            timeout=2 * TIMEOUT_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def value(self, statement: str) -> int:
        with psycopg.connect(self.url) as connection:
            [row] = connection.execute(statement.encode()).fetchall()
        return int(row[0])


@pytest.fixture
def database(db: None) -> Iterator[Database]:
    name = "test_counters_upgrade"
    of_the_suite = programs.test_database_url()
    url = urlsplit(of_the_suite)._replace(path=f"/{name}").geturl()
    dropping = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    with psycopg.connect(of_the_suite, autocommit=True) as beside:
        beside.execute(dropping)
        beside.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield Database(url)
        finally:
            wait_until(partial(_runs, beside, dropping), "the database is in use")


def _runs(connection: psycopg.Connection[Any], statement: sql.Composed) -> bool:
    """Drop it once the last backend has noticed that its client is gone."""
    with suppress(psycopg.errors.ObjectInUse):
        connection.execute(statement)
        return True
    return False


def test_upgrade__under_load_fails_no_add(database: Database, tmp_path: Path) -> None:
    """From an old schema to a next version's, which alters all that adds write.

    The writers are today's code throughout: on an older schema, while the key of the
    events is changed under them, on today's, and on a newer one of their own tables.
    """
    database.manage("migrate", "-v0")
    database.manage("migrate", "-v0", "rollups", OLD_ROLLUPS)
    database.manage("migrate", "-v0", "counters", OLD_COUNTERS)
    database.manage("counters", "create-namespace", "demo")
    stop = tmp_path / "stop"
    counts = [tmp_path / f"writer {number}" for number in range(WRITERS)]

    def adds() -> list[int]:
        return [int(one.read_text() or 0) if one.exists() else 0 for one in counts]

    def wait_until_all_add() -> None:
        before = adds()
        wait_until(
            lambda: all(a > b for a, b in zip(adds(), before, strict=True)),
            f"a writer does not add: {tmp_path}",
        )

    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                programs.running(
                    ["-c", PROGRAM, str(stop), str(count)],
                    count.with_suffix(".log"),
                    database.env
                    | {
                        "COUNTERS_ROLE": "worker",
                        "DJANGO_SETTINGS_MODULE": "counters_project.settings",
                    },
                )
            )
            for count in counts
        ]
        wait_until_all_add()
        database.manage("migrate")
        wait_until_all_add()
        database.manage("migrate", settings="tests.upgrades.next_settings")
        wait_until_all_add()
        stop.touch()
        ends = [writer.wait(TIMEOUT_SECONDS) for writer in writers]

    logs = [count.with_suffix(".log").read_text() for count in counts]
    assert ends == [0] * WRITERS, logs
    database.manage("counters", "rollup")
    assert database.value("SELECT count(*) FROM counters_event") == sum(adds())
    assert database.value("SELECT sum(total) FROM rollups_rollup") == sum(adds())
    assert database.value("SELECT count(remark) FROM counters_event") > 0
