"""`manage.py add_count NAMESPACE NAME [DELTA]`, with `--get` AddAndGet."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from counters import events
from counters.management.base import (
    TaughtCommand,
    add_generation_time_option,
    add_json_option,
)
from counters.namespaces import lookup
from counters.rest.responses import recorded_body
from rollups.reading.many import get_or_zero
from rollups.reading.read import choose_accuracy
from rollups.rest.responses import count_body


class Command(TaughtCommand):
    help = (
        "Add to a counter. When this command ends without an error, the event is durable."
        " Its first add creates a counter."
    )
    examples = """\
examples:
  manage.py add_count demo page/home             add 1
  manage.py add_count demo balance -- -250       take 250 off
  manage.py add_count demo page/home 3 --token order-17
      add 3 once, however often the command is run within the accept window
  manage.py add_count demo page/home --get accurate
      add 1, then print the count, which has this add

exit codes: 0 added or a duplicate; 1 refused, with the reason; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("namespace")
        parser.add_argument("name", help="the counter's name")
        parser.add_argument(
            "delta", type=int, nargs="?", default=1, help="a whole number (default 1)"
        )
        parser.add_argument(
            "--token", help="idempotency token: the same token counts once per counter"
        )
        add_generation_time_option(parser)
        parser.add_argument(
            "--get",
            choices=["eventual", "accurate", "best-effort"],
            help="print the count after the add",
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        accuracy = None
        if options["get"]:
            # Before anything is written: an add that counted must not end as refused.
            found = lookup.get(options["namespace"])
            accuracy = choose_accuracy(found, options["get"])
        recorded = events.add(
            namespace=options["namespace"],
            name=options["name"],
            delta=options["delta"],
            token=options["token"],
            generation_time=options["generation_time"],
        )
        body = recorded_body(recorded)
        read = None
        if accuracy:
            read = get_or_zero(
                namespace=options["namespace"], name=options["name"], accuracy=accuracy
            )
        if options["json"]:
            self.write_json({**body, **(count_body(read) if read else {})})
            return
        if read:
            self.stdout.write(str(read.count))
        elif recorded.duplicate:
            self.stdout.write(
                f"Counted already: token {body['token']}, event time {body['event_time']}."
            )
        else:
            self.stdout.write(
                f"Added {options['delta']:+d} to {options['namespace']}/{options['name']}"
                f" (token {body['token']})."
            )
