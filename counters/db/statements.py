"""Run the SQL statements in each app's `sql/` folder."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper


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
    # Without parameters psycopg looks for none: a statement may then hold a bare `%`.
    rows: list[tuple[Any, ...]] = _run(
        connection, app, name, parameters or None
    ).fetchall()
    return rows


def fetch_row(
    connection: BaseDatabaseWrapper,
    app: str,
    name: str,
    parameters: tuple[Any, ...] | dict[str, Any],
) -> tuple[Any, ...] | None:
    """Run a statement file of a hot path; return its one row, or None.

    Give it `connections[alias]`: each attribute of `django.db.connection` is a look-up of its own.
    """
    row: tuple[Any, ...] | None = _run(connection, app, name, parameters).fetchone()
    return row


def affect(
    connection: BaseDatabaseWrapper, app: str, name: str, /, **parameters: Any
) -> int:
    """Run a statement file that returns no rows; return how many it wrote."""
    with connection.cursor() as cursor:
        cursor.execute(load(app, name), parameters or None)
        return int(cursor.rowcount)


def _run(
    connection: BaseDatabaseWrapper,
    app: str,
    name: str,
    parameters: tuple[Any, ...] | dict[str, Any] | None,
) -> Any:
    """Execute a statement file; return the cursor, which has all of its rows.

    Most calls use the driver's own cursor, one for each connection, and binary results. Making a
    cursor and passing through Django's wrappers costs the client nearly as much as a small
    statement does, and Django reads times that come as text in Python.
    """
    # What Django does first. A receiver of `connection_created` may begin to watch here.
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    # Django's cursor where somebody watches the statements; where threads share the connection,
    # because one could fetch another's row; and for backends that are not Django's own, which may
    # act on each new cursor: django-tenants sets the tenant's schema.
    if (
        connection.execute_wrappers
        or connection.queries_logged
        or connection.allow_thread_sharing
        or not type(connection).__module__.startswith("django.")
    ):
        watched = connection.cursor()
        watched.execute(load(app, name), parameters)
        return watched
    connection.validate_no_broken_transaction()
    # Kept on the driver's connection and not on Django's: a pool gives that to one thread after
    # another.
    driver: Any = connection.connection
    try:
        cursor = driver.counters_cursor
    except AttributeError:
        cursor = driver.counters_cursor = psycopg.Cursor(driver)
    try:
        return cursor.execute(load(app, name), parameters, binary=True)
    except psycopg.Error:
        with connection.wrap_database_errors:
            raise
