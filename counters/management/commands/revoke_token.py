"""`manage.py revoke_token PREFIX`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from counters.management.base import TaughtCommand, add_json_option
from counters.namespaces import api_tokens


class Command(TaughtCommand):
    help = (
        "Revoke an API token, by how it begins. It works for two seconds more at most."
    )
    examples = """\
examples:
  manage.py list_tokens
  manage.py revoke_token 3f9c1a2b

exit codes: 0 revoked; 1 no token begins so, or several do; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "prefix", help="as much of its beginning as makes it the only one"
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        revoked = api_tokens.revoke(options["prefix"])
        if options["json"]:
            self.write_json({"prefix": revoked.prefix, "user": revoked.user})
        else:
            self.stdout.write(f"Revoked {revoked.prefix} of {revoked.user}.")
