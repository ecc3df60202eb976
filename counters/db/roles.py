"""Grant the rights of the role that web, worker and beat run as.

The role owns nothing; another role owns the tables, migrates and maintains the partitions. The
service's role gets only the rights that the service uses. It gets none on partitions, because
rights on their parent are enough.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.db import connection
from psycopg import sql

from counters.errors import InvalidValue

EVERYTHING = "SELECT, INSERT, UPDATE, DELETE"
# Tables on which the service needs fewer rights. PostgreSQL wants UPDATE on any one column to
# lock a row, and on the column that ON CONFLICT updates.
LESS = {
    "auth_permission": "SELECT",
    "counters_counter": "SELECT, INSERT, DELETE, UPDATE (created_at)",
    "counters_event": "SELECT, INSERT, DELETE, UPDATE (delta)",
    # The hourly maintenance checks whether events wait there for a partition.
    "counters_event_default": "SELECT",
    "django_admin_log": "SELECT, INSERT, DELETE",
    "django_content_type": "SELECT",
    "django_migrations": "SELECT",
    # A worker that finds another cluster records it there.
    "rollups_anchor": "SELECT, UPDATE (system_identifier)",
    "rollups_closing": "SELECT",
    # A view.
    "rollups_pending": "SELECT",
}
_OURS = """
SELECT relname FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relname = ANY (%s)
ORDER BY relname
"""
_FUNCTIONS = """
SELECT oid::regprocedure::text FROM pg_proc
WHERE pronamespace = current_schema()::regnamespace
  AND proowner = current_user::regrole
ORDER BY 1
"""


def statements(role: str) -> list[str]:
    """Return the statements with which the owner of the tables grants a role its rights.

    They may run again, for example after a migration, and revoke rights that are not needed.
    Raises InvalidValue if the role is the owner.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database(), current_schema()")
        owner, database, schema = cursor.fetchone()
        if role == owner:
            raise InvalidValue("role", role, "another role than the owner's own")
        cursor.execute(_OURS, [[*_tables()]])
        tables = [str(table) for (table,) in cursor.fetchall()]
        cursor.execute(_FUNCTIONS)
        functions = [str(function) for (function,) in cursor.fetchall()]
        names = {
            "role": sql.Identifier(role),
            "database": sql.Identifier(database),
            "schema": sql.Identifier(schema),
        }
        return [
            sql.SQL(text).format(**names, **more).as_string(cursor.connection)
            for text, more in _templates(tables, functions)
        ]


def _tables() -> Iterator[str]:
    """Yield the tables of all models, and those without a model."""
    for model in apps.get_models(include_auto_created=True):
        yield model._meta.db_table
    yield from LESS


def _templates(
    tables: list[str], functions: list[str]
) -> Iterator[tuple[str, dict[str, sql.Composable]]]:
    yield "GRANT CONNECT ON DATABASE {database} TO {role}", {}
    yield "GRANT USAGE ON SCHEMA {schema} TO {role}", {}
    # Newer partitions have the default rights of new tables, from the last lines below.
    yield "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}", {}
    for table in tables:
        yield (
            "GRANT {rights} ON {table} TO {role}",
            {
                "rights": sql.SQL(LESS.get(table, EVERYTHING)),
                "table": sql.Identifier(table),
            },
        )
    for function in functions:
        yield (
            "GRANT EXECUTE ON FUNCTION {function} TO {role}",
            # As PostgreSQL wrote it, with its quotes.
            {"function": sql.SQL(function)},
        )
    # For tables, sequences and functions of later migrations.
    for rights, kind in (
        (EVERYTHING, "TABLES"),
        ("USAGE", "SEQUENCES"),
        ("EXECUTE", "FUNCTIONS"),
    ):
        yield (
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {rights} ON {kind}"
            " TO {role}",
            {"rights": sql.SQL(rights), "kind": sql.SQL(kind)},
        )
