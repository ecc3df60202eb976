"""`manage.py revoke_grant NAMESPACE USER [RIGHT...]`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from counters.management.base import TaughtCommand, add_json_option
from counters.namespaces import access


class Command(TaughtCommand):
    help = (
        "Take rights in a namespace back from a user, or a group; all of them unless some"
        " are named. Running processes know within seconds."
    )
    examples = """\
examples:
  manage.py revoke_grant demo alice write      alice may still read
  manage.py revoke_grant demo alice            alice no longer sees the namespace
  manage.py revoke_grant demo analysts --group

What a user may do as a member of a group stays: revoke it from the group.

exit codes: 0 taken back, or not there; 1 no such namespace, user or group; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("namespace")
        parser.add_argument("user", help="a user's name, or a group's with --group")
        parser.add_argument(
            "right",
            nargs="*",
            # argparse holds the empty list against the choices, too.
            choices=[*access.RIGHTS, []],
            metavar="right",
            help="read, write or manage (default: all)",
        )
        parser.add_argument(
            "--group", action="store_true", help="the name is a group's"
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        left = access.revoke(
            namespace=options["namespace"],
            of=options["user"],
            rights=options["right"] or access.RIGHTS,
            is_group=options["group"],
        )
        rights = [] if left is None else access.rights_of(left)
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
                f"{options['user']} may {', '.join(rights) or 'do nothing'} in"
                f" {options['namespace']}."
            )
