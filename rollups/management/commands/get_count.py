"""`manage.py get_count NAMESPACE NAME`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from counters.management.base import TaughtCommand
from rollups import counts as reading
from rollups.rest.responses import reading_body


class Command(TaughtCommand):
    help = "Read a counter."
    examples = """\
examples:
  manage.py get_count demo page/home
  manage.py get_count demo page/home --accuracy accurate
      with every event that was committed before this command began
  manage.py get_count demo page/home --json | jq .count

exit codes: 0 read; 1 no such counter or namespace; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("namespace")
        parser.add_argument("name", help="the counter's name")
        parser.add_argument(
            "--accuracy",
            choices=["eventual", "accurate"],
            help="eventual: what is folded; accurate: with what is pending"
            " (default: by the namespace's counter type)",
        )
        parser.add_argument("--json", action="store_true", help="answer as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        read = reading.get(
            namespace=options["namespace"],
            name=options["name"],
            accuracy=options["accuracy"],
        )
        body = reading_body(read)
        if options["json"]:
            self.write_json(body)
            return
        self.stdout.write(str(read.count))
        if read.pending and read.accuracy == "eventual":
            self.stderr.write(
                f"Events are pending; this count is as of {body['as_of']}."
                " Use --accuracy accurate to add them."
            )
