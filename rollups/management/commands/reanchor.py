"""`manage.py reanchor`: after a restore from a dump, recount and go on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from counters.errors import counted
from counters.management.base import TaughtCommand, add_json_option
from counters.models import Counter
from rollups.folding import cluster_identity
from rollups.folding.cluster_identity import Reanchored
from rollups.management.progress import recounting


class Command(TaughtCommand):
    help = (
        "After a restore from a dump, or an upgrade by pg_upgrade: recount every counter from"
        " its events and take this database cluster as the one that watermarks speak of."
        " Adds go on meanwhile; folds and accurate reads wait for the end."
    )
    examples = """\
examples:
  manage.py reanchor            after pg_restore; refused where nothing calls for it
  manage.py reanchor --anyway   recount although the cluster is the same

exit codes: 0 reanchored; 1 the cluster is the same, nothing was done; 2 wrong usage
Broken off, start it again. A physical backup or a replica needs none of it.
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--anyway", action="store_true", help="also where the cluster is the same"
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if cluster_identity.is_anchored() and not options["anyway"]:
            raise CommandError(
                "The watermarks are of this cluster: there is nothing to reanchor."
                " `manage.py verify_rollups` recounts without a restore."
            )
        done = _reanchor(Counter.objects.count())
        if options["json"]:
            self.write_json({"counters": done.counters, "events": done.events})
        else:
            self.stdout.write(
                f"Reanchored {counted(done.counters, 'counter')} from"
                f" {counted(done.events, 'event')}."
            )


def _reanchor(counters: int) -> Reanchored:
    with recounting(counters) as show:
        return cluster_identity.reanchor(progress=lambda so_far: show(so_far.counters))
