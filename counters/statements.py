"""Loads the SQL statements that live as files in each app's `sql/` folder."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def load(app: str, name: str) -> str:
    """Return the statement in `<app>/sql/<name>.sql` without its comment lines.

    The comments stay out, so that they cost nothing on the wire and a `%` in prose is
    not taken for a parameter.
    """
    lines = files(app).joinpath("sql", f"{name}.sql").read_text().splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("--"))
