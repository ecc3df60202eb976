"""What the demo does once the service runs: import, wait for the folds, compare."""

from __future__ import annotations

import io
import json
import time
from datetime import timedelta
from pathlib import Path

from django.core.management import call_command
from fold_counters_client import Client
from rich.console import Console

from counters.importing.report import Summary
from counters.models import BucketSize, Counter, LastWrite, Namespace
from counters.rest.paths import counter_path
from counters_project.demo.compare import compare, sum_plainly
from counters_project.demo.show import show_top

# The events are of 2013; the repeat of the demo must find them.
RETENTION = timedelta(days=365 * 100)
FOLDED_WITHIN_SECONDS = 120.0
KINDS = ("carrier", "origin", "route")


def play(
    flights: Path,
    namespace: str,
    console: Console,
    *,
    client: Client,
    url: str,
    started: float,
) -> int:
    """Count with the importer, read with the client; return 0 where every counter is exact, 1 where not."""
    Namespace.objects.get_or_create(
        name=namespace,
        defaults={
            "description": "Departures from New York City in 2013 (make demo).",
            "retention": RETENTION,
            "bucket_size": BucketSize.DAY,
        },
    )
    console.print(
        "Importing every departure as three events: its carrier, origin and route"
    )
    imported = _import(flights, namespace)
    fold_seconds = _wait_until_folded(namespace, console)
    if fold_seconds is None:
        return 1
    compared = compare(sum_plainly(flights), client, namespace)
    for kind in KINDS:
        show_top(kind, compared, console)
    console.print()
    _say_what_was_imported(imported, fold_seconds, console)
    path = counter_path(namespace, "carrier/UA")
    console.print(f"`make run` serves them: {url}/api/v1/{path}", soft_wrap=True)
    console.print(f"The whole demo took {time.monotonic() - started:.1f} s")
    for one in compared:
        if not one.exact:
            console.print(
                f"{one.name}: {one.eventual:,} eventual, {one.accurate:,} accurate,"
                f" but the file has {one.expected:,}"
            )
    exact = sum(one.exact for one in compared)
    console.print(f"exact: {exact:,} of {len(compared):,} counters")
    return 0 if exact == len(compared) else 1


def _import(flights: Path, namespace: str) -> Summary:
    said = io.StringIO()
    options = ["--namespace", namespace, "--time", "time_hour"]
    options += ["--batch-rows", "10000", "--json"]
    options += ["--counter", "carrier/{carrier}", "--counter", "origin/{origin}"]
    options += ["--counter", "route/{origin}-{dest}"]
    try:
        call_command("counters", "import", str(flights), *options, stdout=said)
    except SystemExit as ended:
        if ended.code == 130:
            raise KeyboardInterrupt from None
        raise
    summary: Summary = json.loads(said.getvalue())
    return summary


def _wait_until_folded(namespace: str, console: Console) -> float | None:
    """Return how long it took until no counter was pending any more; None: too long."""
    started = time.monotonic()
    counters = Counter.objects.filter(namespace__name=namespace)
    pending = LastWrite.objects.filter(counter_id__in=counters.values("pk"))
    with console.status("") as status:
        while waiting := pending.values("counter_id").distinct().count():
            status.update(f"Folding: {waiting:,} counters are pending")
            if time.monotonic() - started > FOLDED_WITHIN_SECONDS:
                console.print(
                    f"{waiting:,} counters are pending still; does a worker run?"
                )
                return None
            time.sleep(0.01)
    return time.monotonic() - started


def _say_what_was_imported(
    imported: Summary, fold_seconds: float, console: Console
) -> None:
    console.print(
        f"{imported['rows']:,} departures: {imported['added']:,} events added,"
        f" {imported['duplicates']:,} duplicates, in {imported['seconds']:.1f} s"
        f" ({imported['events_per_second']:,} events/s)",
        soft_wrap=True,
    )
    if imported["added"]:
        console.print(
            f"Everything was folded {fold_seconds:.2f} s after the last write"
        )
    else:
        console.print("Nothing was new, so no count has changed")
