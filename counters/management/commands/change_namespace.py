"""`manage.py change_namespace NAME`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from counters.management import namespace_options
from counters.management.base import TaughtCommand, add_json_option
from counters.namespaces import lookup, settings
from counters.rest.responses import namespace_body


class Command(TaughtCommand):
    help = (
        "Change a namespace's settings. Only what is given changes; running processes know"
        " within seconds."
    )
    examples = """\
examples:
  manage.py change_namespace shop --accept-past 7d
  manage.py change_namespace shop --counter-type accurate --description "The shop"

exit codes: 0 changed; 1 refused, with the reason; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        namespace_options.add_to(parser)
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        name = lookup.get(options["name"]).name
        changes = namespace_options.given(options)
        # The name is the positional argument, not a change.
        if changes.keys() <= {"name"}:
            raise CommandError(
                "There is nothing to change. Give a setting, such as --retention 90d.",
                returncode=2,
            )
        changed = settings.change(name, changes)
        if options["json"]:
            self.write_json(namespace_body(changed))
        else:
            self.stdout.write(f"Changed namespace {changed.name}.")
