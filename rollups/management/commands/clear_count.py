"""`manage.py clear_count NAMESPACE NAME`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from counters.management.base import (
    TaughtCommand,
    add_generation_time_option,
    add_json_option,
)
from rollups.reading import clear
from rollups.rest.responses import cleared_body


class Command(TaughtCommand):
    help = (
        "Set a counter to 0. Its accurate count is taken off by an event of its own, so the"
        " log stays whole and adds at the same time survive."
    )
    examples = """\
examples:
  manage.py clear_count demo page/home
  manage.py clear_count demo page/home --token month-2026-05
      clears once, however often the command is run within the accept window

exit codes: 0 cleared or a duplicate; 1 refused, with the reason; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("namespace")
        parser.add_argument("name", help="the counter's name")
        parser.add_argument("--token", help="idempotency token of this clear")
        add_generation_time_option(parser)
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        cleared = clear.clear(
            namespace=options["namespace"],
            name=options["name"],
            token=options["token"],
            generation_time=options["generation_time"],
        )
        if options["json"]:
            self.write_json(cleared_body(cleared, may_read=True))
        elif cleared.duplicate:
            self.stdout.write(f"Cleared already with token {cleared.token}.")
        else:
            self.stdout.write(
                f"Cleared {options['namespace']}/{options['name']}; it was"
                f" {cleared.count_before}."
            )
