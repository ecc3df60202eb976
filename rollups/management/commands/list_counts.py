"""`manage.py list_counts NAMESPACE`."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from typing import Any

from counters.errors import counted, stamp
from counters.management.base import TaughtCommand, add_json_option
from counters.models import Namespace
from counters.namespaces import lookup
from rollups.counts import Reading
from rollups.reading import listing
from rollups.rest.responses import reading_body


def above_zero(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


class Command(TaughtCommand):
    help = (
        "List a namespace's counters with their eventual counts: a table on a terminal,"
        " lines of name, count and last write with tabs between them otherwise."
    )
    examples = """\
examples:
  manage.py list_counts demo
  manage.py list_counts demo --ordering=-count --limit 10       the top ten
  manage.py list_counts demo --search page/ --json | jq '.[].count'

exit codes: 0 listed; 1 no such namespace, or a best-effort one; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("namespace")
        parser.add_argument(
            "--ordering",
            choices=listing.ORDERINGS,
            default="name",
            help="a minus turns it round (default: %(default)s)",
        )
        parser.add_argument(
            "--search", default="", metavar="TEXT", help="names that contain it"
        )
        parser.add_argument(
            "--limit",
            type=above_zero,
            default=100,
            metavar="COUNTERS",
            help="at most so many (default: %(default)s)",
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        # Read one more than is shown, to know whether there are more.
        found = list(
            _readings(
                lookup.get(options["namespace"]),
                options["ordering"],
                options["search"],
                options["limit"] + 1,
            )
        )
        readings = found[: options["limit"]]
        if len(found) > len(readings):
            self.stderr.write(
                f"These are the first {counted(len(readings), 'counter')}; there are more."
                " Give --limit."
            )
        if options["json"]:
            self.write_json([reading_body(one) for one in readings])
            return
        self.write_table(
            ("counter", "count", "last write", ""),
            (
                (
                    one.name,
                    f"{one.count:,}" if self.stdout.isatty() else str(one.count),
                    stamp(one.last_write_at) if one.last_write_at else "",
                    "pending" if one.pending else "",
                )
                for one in readings
            ),
        )


def _readings(
    namespace: Namespace, ordering: str, search: str, most: int
) -> Iterator[Reading]:
    place = None
    while most > 0:
        page = listing.list_counters(
            namespace=namespace.name,
            ordering=ordering,
            search=search,
            place=place,
            limit=min(most, listing.MOST),
        )
        yield from page.readings
        most -= len(page.readings)
        place = page.next
        if place is None:
            return
