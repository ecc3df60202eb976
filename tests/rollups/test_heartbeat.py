"""The log of a process that cannot report its heartbeat."""

from __future__ import annotations

import threading

import pytest
from django.db import OperationalError, ProgrammingError, connection
from psycopg import errors

from rollups.monitor import heartbeat

pytestmark = pytest.mark.django_db(transaction=True)


class Failing(heartbeat.Reporter):
    """Fails at its first report, and ends its thread after the next one."""

    def __init__(self, error: Exception) -> None:
        super().__init__("worker")
        self._errors = [error]
        self.reported = threading.Event()
        self.has_left_its_connection = False

    def report(self) -> None:
        if self._errors:
            connection.ensure_connection()
            raise self._errors.pop()
        self.has_left_its_connection = connection.connection is None
        self.reported.set()
        self._ending.set()


def run(reporter: Failing) -> None:
    before = set(threading.enumerate())
    reporter.start()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
    assert reporter.reported.is_set()
    assert reporter.has_left_its_connection


@pytest.fixture(autouse=True)
def _without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY_SECONDS", 0)


def test_presence__reports_again_where_the_pool_was_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run(Failing(OperationalError("the pool 'pool-3' is closed")))

    assert caplog.records == []


@pytest.mark.parametrize(
    "missing",
    [errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction],
)
def test_presence__says_that_migrations_are_missing(
    caplog: pytest.LogCaptureFixture, missing: type[errors.Error]
) -> None:
    error = ProgrammingError("it does not exist")
    error.__cause__ = missing("it does not exist")

    run(Failing(error))

    [record] = caplog.records
    assert "run `manage.py migrate`" in record.getMessage()
