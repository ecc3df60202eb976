"""`manage.py create_namespace NAME`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from counters.management import namespace_options
from counters.management.base import TaughtCommand, add_json_option
from counters.namespaces import access, settings
from counters.rest.responses import namespace_body


class Command(TaughtCommand):
    help = "Create a namespace: the unit of configuration and access."
    examples = """\
examples:
  manage.py create_namespace shop
  manage.py create_namespace stock --counter-type accurate --accept-past 7d
      reads add what is pending; a token protects a retry for seven days
  manage.py create_namespace visits --bucket-size hour --manager alice

exit codes: 0 created; 1 refused, with the reason; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        namespace_options.add_to(parser)
        parser.add_argument(
            "--manager", metavar="USER", help="grant this user everything in it"
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        manager = options["manager"]
        created = settings.create(
            namespace_options.given(options),
            manager=None if manager is None else access.user_named(manager),
        )
        if options["json"]:
            self.write_json(namespace_body(created))
        else:
            self.stdout.write(f"Created namespace {created.name}.")
