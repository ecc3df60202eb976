"""Runs the SQL statements that live as files in each app's `sql/` folder."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


@cache
def load(app: str, name: str) -> str:
    """Return the statement in `<app>/sql/<name>.sql` without its comment lines.

    The comments stay out, so that they cost nothing on the wire and a `%` in prose is
    not taken for a parameter.
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
        # No parameters means none to look for: a statement may then hold a bare `%`.
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
