"""`manage.py print_role_sql ROLE`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from counters.db import roles
from counters.management.base import TaughtCommand, add_json_option


class Command(TaughtCommand):
    help = (
        "Print the SQL that gives a role the rights that web, worker and beat need, and no"
        " more. Run this, and the SQL, as the owner of the tables, after every migration."
    )
    examples = """\
examples:
  psql "$OWNER_URL" -c "CREATE ROLE counters_service LOGIN PASSWORD '...'"
  DATABASE_URL="$OWNER_URL" manage.py print_role_sql counters_service | psql "$OWNER_URL"

docs/operations.md has the rest: what the owner still has to do.

exit codes: 0 printed; 1 the role is the owner; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", help="the role that the service runs as")
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        statements = roles.statements(options["role"])
        if options["json"]:
            self.write_json(statements)
            return
        # One transaction: a service that runs never finds itself without its rights.
        self.stdout.write("\\set ON_ERROR_STOP on\nBEGIN;")
        for statement in statements:
            self.stdout.write(f"{statement};")
        self.stdout.write("COMMIT;")
