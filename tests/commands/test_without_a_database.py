"""Commands where the database is down: one line that says so, and exit code 1."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.programs import ROOT

NOBODY_LISTENS = "postgresql://nobody@127.0.0.1:1/nothing"
COMMANDS = [
    ("add_count", "demo", "hits"),
    ("get_count", "demo", "hits", "--json"),
    ("list_namespaces",),
    ("create_token", "somebody"),
    ("rollup",),
    ("verify_rollups",),
    ("partitions",),
    ("reanchor",),
    ("migrate",),
    # One of Django's own.
    ("createsuperuser", "--noinput", "--username", "x", "--email", "x@example.org"),
]


def manage(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": NOBODY_LISTENS},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("words", COMMANDS, ids=[words[0] for words in COMMANDS])
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
    assert "Traceback" in manage("list_namespaces", "--traceback").stderr


def test_status__is_critical_without_a_database() -> None:
    ended = manage("rollup_status")

    assert ended.returncode == 2
    assert ended.stdout.startswith("CRITICAL - the database does not answer")
    assert ended.stderr == ""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_command__whose_reader_has_gone_ends_without_a_word(unbuffered: str) -> None:
    """As `manage.py ... | head` ends it."""
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "wb") as nobody_reads:
        ended = subprocess.run(
            [sys.executable, "manage.py", "rollup_status"],
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
