"""Run the SQL statements in each app's `sql/` folder."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import ClientCursor
from psycopg.pq import Format


@cache
def load(app: str, name: str) -> str:
    """Return the statement in `<app>/sql/<name>.sql` without its comment lines.

    Comments would cost time on the wire, and a `%` in them would be taken for a parameter.
    """
    lines = files(app).joinpath("sql", f"{name}.sql").read_text().splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("--"))


def fetch(
    connection: BaseDatabaseWrapper, app: str, name: str, /, **parameters: Any
) -> list[tuple[Any, ...]]:
    """Run a statement file and return its rows.

    The first three are positional only: statements have parameters called `name`.
    """
    with connection.cursor() as cursor:
        # Without parameters psycopg looks for none: a statement may then hold a bare `%`.
        cursor.execute(load(app, name), parameters or None)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def fetch_row(
    connection: BaseDatabaseWrapper, app: str, name: str, /, **parameters: Any
) -> tuple[Any, ...] | None:
    """Run a statement file that returns one row at most; return that row, or None.

    For the hot paths: the connection keeps a cursor for them, because making one costs
    the client nearly as much as a small statement.
    """
    cursor = _kept_cursor(connection)
    cursor.execute(load(app, name), parameters)
    with connection.wrap_database_errors:
        row: tuple[Any, ...] | None = cursor.cursor.fetchone()
    return row


def affect(
    connection: BaseDatabaseWrapper, app: str, name: str, /, **parameters: Any
) -> int:
    """Run a statement file that returns no rows; return how many it wrote."""
    with connection.cursor() as cursor:
        cursor.execute(load(app, name), parameters or None)
        return int(cursor.rowcount)


def _kept_cursor(connection: BaseDatabaseWrapper) -> Any:
    """Return Django's wrapper around the cursor that the driver's connection keeps."""
    # Where threads share a connection, one thread must not fetch another's rows. Backends
    # that are not Django's own may act on each new cursor: django-tenants sets the tenant's
    # schema.
    if (
        connection.queries_logged
        or connection.allow_thread_sharing
        or not type(connection).__module__.startswith("django.")
    ):
        return connection.cursor()
    # What `connection.cursor()` does before it makes one.
    connection.validate_thread_sharing()
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    # Kept on the driver's connection and not on Django's: a pool gives that to one thread
    # after another.
    driver: Any = connection.connection
    cursor = getattr(driver, "counters_cursor", None)
    if cursor is None:
        with connection.wrap_database_errors:
            cursor = driver.counters_cursor = connection.create_cursor()
        # Django's loader of a timestamp that comes as text is written in Python. Its
        # client-side cursors, which are its default, know text only.
        if not isinstance(cursor, ClientCursor):
            cursor.format = Format.BINARY
    return connection.make_cursor(cursor)
