"""`manage.py verify_rollups [--repair]`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from counters.errors import counted
from counters.management.base import TaughtCommand
from counters.models import Counter
from counters.namespaces import lookup
from rollups.folding import audit
from rollups.folding.audit import Audited
from rollups.management.progress import recounting

# Differences that are printed; the summary counts all of them.
SHOWN = 100


class Command(TaughtCommand):
    help = (
        "Recount every counter from its events, and compare with its rollup and its"
        " buckets. Runs while writes go on: what is pending is no difference."
    )
    examples = """\
examples:
  manage.py verify_rollups                    compare all counters
  manage.py verify_rollups --namespace demo   those of one namespace
  manage.py verify_rollups --repair           set what differs to what the events say

exit codes: 0 all right, or all repaired; 1 some counters differ; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--namespace", help="only this namespace's counters")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="set what differs to what the events say",
        )
        parser.add_argument("--json", action="store_true", help="answer as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["namespace"]
        namespace = lookup.get(name) if name else None
        counters = Counter.objects.all()
        if namespace:
            counters = counters.filter(namespace=namespace)
        different: list[Audited] = []
        audited = repaired = 0
        with recounting(counters.count()) as show:
            for batch in audit.audit(namespace):
                wrong = [one for one in batch if not one.is_right]
                if wrong and options["repair"]:
                    repaired += len(audit.repair([one.counter_id for one in wrong]))
                different += wrong
                audited += len(batch)
                show(audited)
        if options["json"]:
            self._write_as_json(audited, repaired, different)
        else:
            self._write_as_text(audited, repaired, different)
        if len(different) > repaired:
            sys.exit(1)

    def _write_as_text(
        self, audited: int, repaired: int, different: list[Audited]
    ) -> None:
        for one in different[:SHOWN]:
            self.stdout.write(
                f"{one.namespace}/{one.name}: total {one.total:,} of {counted(one.events, 'event')};"
                f" recounted {one.recounted_total:,} of {one.recounted_events:,}"
                f" (off by {one.is_off_by:+,}); buckets {one.buckets_total:,}"
                f" of {one.buckets_events:,}{_and_besides(one)}"
            )
        if len(different) > SHOWN:
            self.stdout.write(f"... and {len(different) - SHOWN:,} more")
        summary = f"{counted(audited, 'counter')} recounted, {len(different):,} differ"
        if repaired:
            summary += f", {repaired:,} repaired"
        self.stdout.write(f"{summary}.")

    def _write_as_json(
        self, audited: int, repaired: int, different: list[Audited]
    ) -> None:
        self.write_json(
            {
                "audited": audited,
                "repaired": repaired,
                "different": [
                    {
                        "namespace": one.namespace,
                        "name": one.name,
                        "total": one.total,
                        "events": one.events,
                        "recounted_total": one.recounted_total,
                        "recounted_events": one.recounted_events,
                        "buckets_total": one.buckets_total,
                        "buckets_events": one.buckets_events,
                        "buckets_off": one.buckets_off,
                        "unseen_events": one.unseen_events,
                    }
                    for one in different
                ],
            }
        )


def _and_besides(one: Audited) -> str:
    """Return the faults that the sums do not show."""
    found = ""
    if one.buckets_off:
        found += (
            f", {counted(one.buckets_off, 'bucket')} whose sums differ from the events"
        )
    if one.unseen_events:
        found += f"; {counted(one.unseen_events, 'pending event')} that no fold finds"
    return found
