"""Commands that the database cannot serve end with one line and exit code 1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from pytest_django import DjangoDbBlocker

from tests.programs import ROOT, test_database_url

NOBODY_LISTENS = "postgresql://nobody@127.0.0.1:1/nothing"
COMMANDS = [
    ("counters", "add", "demo", "hits"),
    ("counters", "get", "demo", "hits", "--json"),
    ("counters", "list-namespaces"),
    ("counters", "create-token", "somebody"),
    (
        "counters",
        "rollup",
    ),
    (
        "counters",
        "verify",
    ),
    (
        "counters",
        "partitions",
    ),
    (
        "counters",
        "reanchor",
    ),
    ("migrate",),
    # One of Django's own.
    ("createsuperuser", "--noinput", "--username", "x", "--email", "x@example.org"),
]


def manage(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": NOBODY_LISTENS} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "words", COMMANDS, ids=["-".join(words[:2]) for words in COMMANDS]
)
def test_command__says_in_one_line_that_the_database_is_down(
    words: tuple[str, ...],
) -> None:
    ended = manage(*words)

    assert ended.returncode == 1
    # A progress bar that is taken away leaves an empty line.
    [line] = filter(None, ended.stderr.splitlines())
    assert line.startswith("The database cannot serve this now: ")
    assert "Connection refused" in line
    assert "Traceback" not in ended.stdout


def test_command__shows_all_of_it_when_asked() -> None:
    assert "Traceback" in manage("counters", "list-namespaces", "--traceback").stderr


def test_status__is_critical_without_a_database() -> None:
    ended = manage("counters", "status")

    assert ended.returncode == 2
    assert ended.stdout.startswith("CRITICAL - The database cannot serve this now: ")
    assert ended.stderr == ""


@pytest.mark.parametrize("command", ["status", "list-namespaces"])
def test_command__says_where_it_looked_for_make_run(
    tmp_path: Path, command: str
) -> None:
    ended = manage("counters", command, DATABASE_URL="", DATA_DIR=str(tmp_path))

    [line] = (ended.stdout + ended.stderr).splitlines()
    assert "The database cannot serve this now: " in line
    assert "DATABASE_URL is not set, so the database of `make run` is used" in line
    assert f"DATA_DIR={tmp_path}. Start `make run`" in line


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_command__whose_reader_has_gone_ends_without_a_word(unbuffered: str) -> None:
    """As `manage.py ... | head` ends it."""
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "wb") as nobody_reads:
        ended = subprocess.run(
            [sys.executable, "manage.py", "counters", "status"],
            cwd=ROOT,
            env=os.environ
            | {"DATABASE_URL": NOBODY_LISTENS, "PYTHONUNBUFFERED": unbuffered},
            stdout=nobody_reads,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert (ended.returncode, ended.stderr) == (141, "")


NOT_MIGRATED = [
    ("counters", "add", "demo", "hits"),
    ("counters", "create-token", "somebody"),
    ("counters", "rollup", "--watch"),
    (
        "counters",
        "partitions",
    ),
    (
        "counters",
        "reanchor",
    ),
    ("counters", "top", "--once"),
    ("counters", "export", "totals"),
    ("create_demo",),
    ("createsuperuser", "--noinput", "--username", "x", "--email", "x@example.org"),
]


@pytest.fixture(scope="module")
def empty_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> str:
    with django_db_blocker.unblock():
        url = test_database_url()
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS counters_empty")
        server.execute("CREATE DATABASE counters_empty")
    return urlsplit(url)._replace(path="/counters_empty").geturl()


@pytest.mark.parametrize(
    "words", NOT_MIGRATED, ids=["-".join(words[:2]) for words in NOT_MIGRATED]
)
def test_command__says_in_one_line_that_migrate_has_not_run(
    empty_database: str, words: tuple[str, ...]
) -> None:
    ended = manage(*words, DATABASE_URL=empty_database)

    assert ended.returncode == 1
    [line] = filter(None, ended.stderr.splitlines())
    assert "run `manage.py migrate`" in line
    assert "does not exist" in line
    assert "Traceback" not in ended.stdout


def test_status__says_that_migrate_has_not_run(empty_database: str) -> None:
    ended = manage("counters", "status", DATABASE_URL=empty_database)

    assert ended.returncode == 2
    assert "run `manage.py migrate`" in ended.stdout
    assert ended.stderr == ""


def test_command__says_in_one_line_that_there_is_no_such_database(
    empty_database: str,
) -> None:
    url = empty_database.replace("counters_empty", "counters_nowhere")

    ended = manage("counters", "list-namespaces", DATABASE_URL=url)

    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert 'database "counters_nowhere" does not exist' in line


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL='LOUD' is unknown"),
        ("CACHE_URL", "memcache://:secret@host", "CACHE_URL is not the address"),
        ("CACHE_URL", "secret", "CACHE_URL is not the address"),
        ("CACHE_URL", "redis://:secret@host/one", "CACHE_URL is not the address"),
        ("DATA_DIR", "/dev/null", "The directory /dev/null/metrics cannot be created"),
        ("METRICS_DIR", "/dev/null", "The directory /dev/null cannot be created"),
        ("METRICS_DIR", "/proc/nope", "The directory /proc/nope cannot be created"),
        ("METRICS_DIR", "/proc", "ROLLUPS_METRICS_DIR='/proc' cannot be used"),
    ],
)
def test_command__names_a_setting_that_makes_no_sense(
    variable: str, value: str, said: str
) -> None:
    ended = manage("check", **{variable: value})

    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith(said)
    assert "secret" not in line


@pytest.mark.parametrize("words", [("check",), ("counters", "list-namespaces")])
def test_command__says_in_one_line_which_setting_is_wrong(
    words: tuple[str, ...],
) -> None:
    ended = manage(*words, WEB_THREADS="none")

    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("WEB_THREADS='none' is not a whole number")
