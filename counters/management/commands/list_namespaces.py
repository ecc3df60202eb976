"""`manage.py list_namespaces`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from counters.errors import span
from counters.management.base import TaughtCommand, add_json_option
from counters.models import Namespace
from counters.rest.responses import namespace_body

COLUMNS = ("namespace", "type", "accepts", "ahead", "keeps", "buckets")


class Command(TaughtCommand):
    help = "List the namespaces and their settings."
    examples = """\
examples:
  manage.py list_namespaces
  manage.py list_namespaces --json | jq -r '.[].name'

exit codes: 0 listed; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(Namespace.objects.order_by("name"))
        if options["json"]:
            self.write_json([namespace_body(one) for one in found])
            return
        self.write_table(
            COLUMNS,
            [
                (
                    one.name,
                    one.counter_type,
                    span(one.accept_past),
                    span(one.accept_future),
                    span(one.retention),
                    one.bucket_size,
                )
                for one in found
            ],
        )
