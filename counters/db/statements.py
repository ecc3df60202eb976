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
    with connection.cursor() as cursor:
        # Without parameters psycopg looks for none: a statement may then hold a bare `%`.
        cursor.execute(load(app, name), parameters or None)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def affect(
    connection: BaseDatabaseWrapper, app: str, name: str, /, **parameters: Any
) -> int:
    """Run a statement file that returns no rows; return how many it wrote."""
    with connection.cursor() as cursor:
        cursor.execute(load(app, name), parameters or None)
        return int(cursor.rowcount)


def fetch_row(
    connection: BaseDatabaseWrapper,
    app: str,
    name: str,
    parameters: tuple[Any, ...] | dict[str, Any],
) -> tuple[Any, ...] | None:
    """Run a statement file of a hot path; return its one row, or None.

    Give it `connections[alias]`: each attribute of `django.db.connection` is a look-up of its own.
    Most calls use the driver's own cursor, one for each connection, and binary results: making a
    cursor and passing through Django's wrappers costs the client nearly as much as a small
    statement does.
    """
    statement = load(app, name)
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
        with connection.cursor() as watched:
            watched.execute(statement, parameters)
            row: tuple[Any, ...] | None = watched.fetchone()
        return row
    connection.validate_no_broken_transaction()
    # Kept on the driver's connection and not on Django's: a pool gives that to one thread after
    # another.
    driver: Any = connection.connection
    try:
        cursor = driver.counters_cursor
    except AttributeError:
        cursor = driver.counters_cursor = psycopg.Cursor(driver)
    try:
        row = cursor.execute(statement, parameters, binary=True).fetchone()
    except psycopg.Error:
        with connection.wrap_database_errors:
            raise
    return row
