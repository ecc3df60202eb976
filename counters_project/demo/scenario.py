"""Import the departures, wait for the folds, and compare every count."""

from __future__ import annotations

import collections
import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.core.management import call_command
from fold_counters_client import Client
from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from counters.importing.report import Summary
from counters.models import BucketSize, Counter, LastWrite, Namespace
from counters.rest.paths import counter_path
from counters_project.demo.flights import reader

# The events are of 2013; a second run of the demo must still find them.
RETENTION = timedelta(days=365 * 100)
FOLDED_WITHIN_SECONDS = 120.0
KINDS = ("carrier", "origin", "route")
TOP = 10


def play(
    flights: Path,
    namespace: str,
    console: Console,
    *,
    client: Client,
    url: str,
    started: float,
) -> int:
    """Import, read with the client, and return 0 if every counter is exact, else 1."""
    Namespace.objects.get_or_create(
        name=namespace,
        defaults={
            "description": "Departures from New York City in 2013 (make demo).",
            "retention": RETENTION,
            "bucket_size": BucketSize.DAY,
        },
    )
    console.print(
        "Importing three events for each departure: its carrier, origin and route"
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
    console.print(
        f"`make run` serves these counters: {url}/api/v1/{path}", soft_wrap=True
    )
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
    """Return the seconds until no counter was pending, or None after a time-out."""
    started = time.monotonic()
    counters = Counter.objects.filter(namespace__name=namespace)
    pending = LastWrite.objects.filter(counter_id__in=counters.values("pk"))
    with console.status("") as status:
        while waiting := pending.values("counter_id").distinct().count():
            status.update(f"Folding: {waiting:,} counters are pending")
            if time.monotonic() - started > FOLDED_WITHIN_SECONDS:
                console.print(
                    f"{waiting:,} counters are still pending. Check that a worker runs."
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
            f"All events were folded {fold_seconds:.2f} s after the last write"
        )
    else:
        console.print("All events were duplicates, so no count has changed")


@dataclass(frozen=True, slots=True)
class Compared:
    """A counter's count in the file, and the two counts of the service."""

    name: str
    expected: int
    eventual: int
    accurate: int

    @property
    def exact(self) -> bool:
        return self.expected == self.eventual == self.accurate


def sum_plainly(file: Path) -> collections.Counter[str]:
    """Count the file's departures by carrier, origin and route."""
    counts: collections.Counter[str] = collections.Counter()
    with reader(file) as rows:
        for row in rows:
            counts[f"carrier/{row['carrier']}"] += 1
            counts[f"origin/{row['origin']}"] += 1
            counts[f"route/{row['origin']}-{row['dest']}"] += 1
    return counts


def compare(
    expected: collections.Counter[str], client: Client, namespace: str
) -> list[Compared]:
    """Read each counter over REST, eventual and accurate; include unexpected counters."""
    eventual = {reading.name: reading.count for reading in client.list(namespace)}
    return [
        Compared(
            name,
            expected[name],
            eventual.get(name, 0),
            client.get(namespace, name, accuracy="accurate").count
            if name in eventual
            else 0,
        )
        for name in sorted(expected.keys() | eventual.keys())
    ]


def show_top(kind: str, compared: Sequence[Compared], console: Console) -> None:
    """Print the ten largest counters whose names begin with `kind/`."""
    chosen = [one for one in compared if one.name.startswith(f"{kind}/")]
    chosen.sort(key=lambda one: (-one.eventual, one.name))
    table = Table(
        box=None, show_header=False, title=f"Departures by {kind}", title_justify="left"
    )
    table.add_column()
    table.add_column(justify="right")
    table.add_column(width=40)
    for one in chosen[:TOP]:
        bar = Bar(chosen[0].eventual, 0, one.eventual, width=40, color="cyan")
        table.add_row(one.name.removeprefix(f"{kind}/"), f"{one.eventual:,}", bar)
    console.print()
    console.print(table)
