"""`manage.py partitions`: the event table's partitions and their upkeep."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.db import connection
from django.template.defaultfilters import filesizeformat
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)

from counters.db import clock
from counters.db.statements import fetch
from counters.errors import counted, stamp
from counters.management.base import TaughtCommand, add_json_option, progress_bar
from counters.partitions import create, reindex
from counters.partitions.reindex import Compacted
from rollups.folding import maintenance, retention
from rollups.folding.maintenance import ClearedAway
from rollups.folding.retention import Outcome


class Command(TaughtCommand):
    help = (
        "Show the partitions of the event table; make those of the coming days, and clear away"
        " what nobody needs; close those that retention lets go; compact those whose day is"
        " over. Beat does the same every hour: this is for a role that owns the tables, where"
        " the service's does not, for a service without beat, and for looking."
    )
    examples = """\
examples:
  manage.py partitions                            each partition, its span, size and state
  manage.py partitions --make --close --compact   all the upkeep, as beat does it
  manage.py partitions --close --dry-run          which would be closed, and why others are kept

A partition is closed when all its events are folded, an hour older than the retention of every
namespace that has events in it, and add up to the counters' buckets. Its table is dropped an
hour later. An add waits for a tenth of a second at most; only an add into the day that is being
closed may wait for a tenth of a second for each million events in it. --compact rebuilds the
indexes of past days, which may be half empty: this saves a third of a day's bytes. Adds and
folds go on meanwhile; for a day of a hundred million events it takes some minutes and, for
the moment, the space of one index more.

exit codes: 0 done; 1 refused, with the reason; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--make",
            action="store_true",
            help="make the partitions of the coming days, and of events that found none; drop"
            " claims that expired, and what adds left of counters deleted meanwhile",
        )
        parser.add_argument(
            "--close",
            action="store_true",
            help="close what retention lets go; drop what was closed an hour ago",
        )
        parser.add_argument(
            "--compact",
            action="store_true",
            help="rebuild the indexes of past days where that wins a sixth or more",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="with --close or --compact: say what would be done, and do nothing",
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        close, compact = options["close"], options["compact"]
        dry_run = options["dry_run"]
        if dry_run and (options["make"] or not (close or compact)):
            raise CommandError(
                "--dry-run goes with --close or --compact, and without --make."
            )
        if not options["make"] and not close and not compact:
            self._list(as_json=options["json"])
            return
        made = (
            [*create.make_ahead(), *create.make_for_strays()] if options["make"] else []
        )
        cleared = maintenance.clear_away() if options["make"] else ClearedAway(0, 0)
        outcomes = _close(dry_run=dry_run) if close else []
        dropped = retention.drop_closed() if close and not dry_run else []
        compacted = _compact(dry_run=dry_run) if compact else []
        if options["json"]:
            self.write_json(
                {
                    "made": [one.name for one in made],
                    "expired_claims": cleared.claims,
                    "orphans": cleared.orphans,
                    "closed": [_as_json(one) for one in outcomes if _is_closed(one)],
                    "kept": [_as_json(one) for one in outcomes if not _is_closed(one)],
                    "dropped": dropped,
                    "compacted": [_compacted_as_json(one) for one in compacted],
                }
            )
            return
        lines = [f"made    {one.name}" for one in made]
        if cleared.claims:
            lines.append(f"dropped {counted(cleared.claims, 'expired claim')}")
        if cleared.orphans:
            lines.append(
                f"dropped what was left of {counted(cleared.orphans, 'deleted counter')}"
            )
        lines += [_as_text(outcome, dry_run=dry_run) for outcome in outcomes]
        lines += [f"dropped {table}" for table in dropped]
        lines += [_compacted_as_text(one, dry_run=dry_run) for one in compacted]
        for line in lines or ["Nothing to do."]:
            self.stdout.write(line)

    def _list(self, *, as_json: bool) -> None:
        past_retention = {
            one.name for one, kept_because in retention.look() if kept_because is None
        }
        now = clock.database_now()
        rows = [
            {
                "name": name,
                "from": stamp(since) if since else None,
                "to": stamp(until) if until else None,
                "bytes": size,
                "events": events,
                "state": _state(name, since, until, now, past_retention),
            }
            for name, since, until, size, events in fetch(
                connection, "counters", "measure_partitions"
            )
        ]
        if as_json:
            self.write_json(rows)
            return
        self.write_table(
            ["partition", "from", "until", "size", "events", "state"],
            [
                [
                    row["name"],
                    # They begin and end at midnight, UTC.
                    (row["from"] or "")[:10],
                    (row["to"] or "")[:10],
                    _size(row["bytes"]),
                    "?" if row["events"] is None else f"~{row['events']:,}",
                    row["state"],
                ]
                for row in rows
            ],
        )


def _state(
    name: str,
    since: datetime | None,
    until: datetime | None,
    now: datetime,
    past_retention: set[str],
) -> str:
    if since is None or until is None:
        return "for strays"
    if since > now:
        return "ahead"
    if until > now:
        return "now"
    return "past retention" if name in past_retention else "kept"


def _close(*, dry_run: bool) -> list[Outcome]:
    columns = (
        TextColumn("Closing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("partitions"),
    )
    outcomes = []
    with progress_bar(*columns) as bar:
        task = bar.add_task("close", total=len(retention.due()))
        for outcome in retention.close_due(dry_run=dry_run):
            outcomes.append(outcome)
            bar.advance(task)
    return outcomes


def _compact(*, dry_run: bool) -> list[Compacted]:
    waiting = reindex.due()
    if dry_run:
        return [Compacted(index, None) for index in waiting]
    columns = (
        TextColumn("Compacting"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    done = []
    with progress_bar(*columns) as bar:
        task = bar.add_task("compact", total=sum(one.size_bytes for one in waiting))
        for one in reindex.compact_due():
            done.append(one)
            bar.advance(task, one.index.size_bytes)
    return done


def _is_closed(outcome: Outcome) -> bool:
    return outcome.kept_because is None


def _as_text(outcome: Outcome, *, dry_run: bool) -> str:
    name = outcome.partition.name
    if outcome.kept_because is not None:
        return f"kept    {name}: {outcome.kept_because}"
    verb = "would close" if dry_run else "closed "
    return (
        f"{verb} {name}: {counted(outcome.events, 'event')} of"
        f" {counted(outcome.counters, 'counter')}"
    )


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.partition.name,
        "events": outcome.events,
        "counters": outcome.counters,
        "kept_because": outcome.kept_because,
    }


def _compacted_as_text(one: Compacted, *, dry_run: bool) -> str:
    index = one.index
    before = _size(index.size_bytes)
    if dry_run:
        return f"would rebuild {index.name}: {before}, {counted(index.events, 'event')}"
    if one.bytes_after is None:
        return f"left    {index.name}: {one.kept_because}"
    return f"rebuilt {index.name}: {before}, now {_size(one.bytes_after)}"


def _compacted_as_json(one: Compacted) -> dict[str, Any]:
    return {
        "index": one.index.name,
        "partition": one.index.partition,
        "bytes_before": one.index.size_bytes,
        "bytes_after": one.bytes_after,
        "kept_because": one.kept_because,
    }


def _size(size_bytes: int) -> str:
    return filesizeformat(size_bytes).replace("\xa0", " ")
