"""`manage.py create_token USER`."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from counters.errors import stamp
from counters.management.base import TaughtCommand, add_json_option
from counters.namespaces import api_tokens


def days(text: str) -> timedelta:
    if not text.isdigit() or not 1 <= int(text) <= 36_500:
        raise ArgumentTypeError(f"{text!r} is not a number of days from 1 to 36500")
    return timedelta(days=int(text))


class Command(TaughtCommand):
    help = (
        "Make an API token for a user. It is printed once and never again: only its hash is"
        " kept."
    )
    examples = """\
examples:
  manage.py create_token alice
  manage.py create_token robot --expires-in 90 > token.txt

Send it as `Authorization: Token ...`. It may do what its user may: see `manage.py grant`.

exit codes: 0 made; 1 no such user; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name")
        parser.add_argument(
            "--expires-in",
            type=days,
            metavar="DAYS",
            help="after so many days it is worth nothing (default: never)",
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        kept, token = api_tokens.create(
            user=options["user"], expires_in=options["expires_in"]
        )
        expires = stamp(kept.expires_at) if kept.expires_at else None
        if options["json"]:
            self.write_json(
                {
                    "token": token,
                    "prefix": kept.prefix,
                    "user": kept.user,
                    "expires_at": expires,
                }
            )
            return
        # Standard output has the token alone, for files and variables.
        self.stdout.write(token)
        self.stderr.write(
            f"Keep it now. To revoke it: manage.py revoke_token {kept.prefix}"
            f" (expires: {expires or 'never'})"
        )
