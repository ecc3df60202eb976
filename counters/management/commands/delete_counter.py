"""`manage.py delete_counter NAMESPACE NAME`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from counters.errors import counted
from counters.management.base import TaughtCommand, add_confirm_options, add_json_option
from counters.namespaces import deletion


class Command(TaughtCommand):
    help = "Delete a counter with its events, rollup and series, for good."
    examples = """\
examples:
  manage.py delete_counter demo page/home
      asks on a terminal
  manage.py delete_counter demo page/home --confirm page/home
  manage.py delete_counter demo page/home --yes --json

exit codes: 0 deleted; 1 not confirmed, or no such counter; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("namespace")
        parser.add_argument("name", help="the counter's name")
        add_confirm_options(parser)
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        namespace, name = options["namespace"], options["name"]
        confirm = self.confirmed(name, f"the counter {namespace}/{name}", options)
        deleted = deletion.delete_counter(
            namespace=namespace, name=name, confirm=confirm
        )
        if options["json"]:
            self.write_json({"counters": deleted.counters, "events": deleted.events})
        else:
            self.stdout.write(
                f"Deleted {namespace}/{name} with {counted(deleted.events, 'event')}."
            )
