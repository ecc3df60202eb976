"""The options in DATABASE_URL are kept, together with those of the service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from tests.programs import ROOT, TIMEOUT_SECONDS, test_database_url

pytestmark = pytest.mark.django_db(transaction=True)

SHOW = (
    "from django.db import connection\n"
    "with connection.cursor() as cursor:\n"
    "    for name in ('search_path', 'jit', 'work_mem', 'statement_timeout'):\n"
    "        cursor.execute(f'SHOW {name}')\n"
    "        print(name, cursor.fetchone()[0])\n"
)


def manage(url: str, *words: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url} | variables,
        capture_output=True,
        text=True,
        timeout=4 * TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def settings_at(query: str, **variables: str) -> dict[str, str]:
    url = f"{test_database_url()}&{query}"
    told = manage(url, "shell", "--no-imports", "-c", SHOW, **variables)
    return dict(line.split(" ", 1) for line in told.splitlines())


@pytest.fixture
def schema(transactional_db: None) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA fold")
    yield "fold"
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA fold CASCADE")


def test_options__of_the_url_go_with_ours_and_win() -> None:
    asked = "options=-c%20work_mem%3D7MB%20-c%20statement_timeout%3D9s"

    found = settings_at(asked, COUNTERS_ROLE="worker")

    assert found["work_mem"] == "7MB"
    assert found["statement_timeout"] == "9s"
    assert found["jit"] == "off"


def test_current_schema__goes_with_options() -> None:
    found = settings_at("currentSchema=fold&options=-c%20work_mem%3D7MB")

    assert (found["search_path"], found["work_mem"], found["jit"]) == (
        "fold",
        "7MB",
        "off",
    )


def test_current_schema__has_all_tables_and_counts(schema: str) -> None:
    url = f"{test_database_url()}&currentSchema={schema}"

    manage(url, "migrate", "--no-input", "--verbosity", "0")
    manage(url, "counters", "create-namespace", "shop")
    manage(url, "counters", "add", "shop", "hits", "5")
    manage(url, "counters", "partitions", "--make")
    manage(url, "counters", "rollup")

    assert manage(url, "counters", "get", "shop", "hits").split()[0] == "5"
    with psycopg.connect(test_database_url()) as looking:
        found = looking.execute(
            "SELECT (SELECT count(*) FROM fold.counters_event),"
            " (SELECT total FROM fold.rollups_rollup),"
            " (SELECT count(*) FROM public.counters_event)"
        ).fetchone()
    assert found == (1, 5, 0)
