"""`manage.py list_tokens`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from counters.errors import stamp
from counters.management.base import TaughtCommand, add_json_option
from counters.namespaces import api_tokens


class Command(TaughtCommand):
    help = (
        "List the API tokens by how they begin; the tokens themselves are kept nowhere."
    )
    examples = """\
examples:
  manage.py list_tokens
  manage.py list_tokens --user alice --json

exit codes: 0 listed; 1 no such user; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", help="only this user's")
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        rows = [
            (
                one.prefix,
                one.user,
                stamp(one.created_at),
                stamp(one.expires_at) if one.expires_at else None,
            )
            for one in api_tokens.list_all(user=options["user"])
        ]
        if options["json"]:
            keys = ("prefix", "user", "created_at", "expires_at")
            self.write_json([dict(zip(keys, row, strict=True)) for row in rows])
            return
        self.write_table(
            ("begins with", "user", "created", "expires"),
            [(prefix, user, at, until or "never") for prefix, user, at, until in rows],
        )
