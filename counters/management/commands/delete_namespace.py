"""`manage.py delete_namespace NAME`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

from counters.errors import counted
from counters.management.base import (
    TaughtCommand,
    add_confirm_options,
    add_json_option,
    progress_bar,
)
from counters.models import Counter
from counters.namespaces import deletion, lookup
from counters.namespaces.deletion import Deleted


class Command(TaughtCommand):
    help = "Delete a namespace with all its counters and events, for good."
    examples = """\
examples:
  manage.py delete_namespace shop
      asks on a terminal
  manage.py delete_namespace shop --confirm shop

Goes in batches. Interrupted, it leaves a namespace with fewer counters: run it again.

exit codes: 0 deleted; 1 not confirmed, or no such namespace; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        add_confirm_options(parser)
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        namespace = lookup.get(options["name"])
        number = Counter.objects.filter(namespace=namespace).count()
        what = f"the namespace {namespace.name} with {counted(number, 'counter')}"
        confirm = self.confirmed(namespace.name, what, options)
        deleted = _delete(namespace.name, confirm, number)
        if options["json"]:
            self.write_json({"counters": deleted.counters, "events": deleted.events})
        else:
            self.stdout.write(
                f"Deleted {namespace.name} with {counted(deleted.counters, 'counter')} and"
                f" {counted(deleted.events, 'event')}."
            )


def _delete(name: str, confirm: str, number: int) -> Deleted:
    columns = (
        TextColumn("Deleting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("counters"),
    )
    with progress_bar(*columns) as progress:
        bar = progress.add_task("delete", total=number)
        return deletion.delete_namespace(
            name,
            confirm=confirm,
            progress=lambda so_far: progress.update(bar, completed=so_far.counters),
        )
