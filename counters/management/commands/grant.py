"""`manage.py grant NAMESPACE USER RIGHT...`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from counters.management.base import TaughtCommand, add_json_option
from counters.namespaces import access


class Command(TaughtCommand):
    help = (
        "Grant a user, or a group, rights in a namespace, on top of those they have."
        " Running processes know within seconds."
    )
    examples = """\
rights:
  read     counters, lists and series
  write    add and clear
  manage   change the namespace; delete it or its counters

examples:
  manage.py grant demo alice read write
  manage.py grant demo analysts read --group

exit codes: 0 granted; 1 no such namespace, user or group; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("namespace")
        parser.add_argument("user", help="a user's name, or a group's with --group")
        parser.add_argument("right", nargs="+", choices=access.RIGHTS)
        parser.add_argument(
            "--group", action="store_true", help="the name is a group's"
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        granted = access.grant(
            namespace=options["namespace"],
            to=options["user"],
            rights=options["right"],
            is_group=options["group"],
        )
        rights = access.rights_of(granted)
        if options["json"]:
            self.write_json(
                {
                    "namespace": options["namespace"],
                    "holder": options["user"],
                    "rights": rights,
                }
            )
        else:
            self.stdout.write(
                f"{options['user']} may {', '.join(rights)} in {options['namespace']}."
            )
