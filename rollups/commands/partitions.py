"""The subcommand that shows and maintains the event table's partitions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection
from django.template.defaultfilters import filesizeformat
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn

from counters.db import clock
from counters.db.statements import fetch
from counters.errors import counted, stamp
from counters.partitions import create, reindex
from counters.partitions.reindex import Rebuilt
from rollups.commands.base import (
    Output,
    Refused,
    counting_bar,
    flag,
    progress_bar,
    subcommand,
)
from rollups.folding import maintenance, retention
from rollups.folding.maintenance import ClearedAway
from rollups.folding.retention import Outcome


@subcommand(
    "partitions",
    "Show the partitions of the event table; create, archive and reindex them.",
    flag(
        "--make",
        "create partitions for the coming days and for events in the default partition; delete"
        " expired claims, and rows of counters that were deleted during an add",
    ),
    flag(
        "--close",
        "archive partitions that are past retention; drop those archived an hour ago",
    ),
    flag(
        "--reindex",
        "rebuild indexes of past days if that saves a sixth of their size or more",
    ),
    flag(
        "--dry-run",
        "with --close or --reindex: only print what would be done",
    ),
    about="""\
Without options it lists the partitions. Beat does all maintenance every hour. Run it with this
command if you have no beat, or if the service's role does not own the tables.

A partition is archived when all its events are folded, an hour older than the retention of every
namespace that has events in it, and add up to the counters' buckets. Its table is dropped an hour
later. Adds wait at most a tenth of a second; an add into the archived day may wait a tenth of a
second for each million events of the day.

--reindex rebuilds the indexes of past days, which may be half empty. This saves a third of a day's
bytes. Adds and folds continue. A day of a hundred million events takes some minutes, and needs the
space of one more index during this time.""",
    examples="""\
  manage.py counters partitions                            each partition, its span, size, state
  manage.py counters partitions --make --close --reindex   all maintenance, as beat does it
  manage.py counters partitions --close --dry-run          what would be archived or kept, and why
""",
)
def partitions(out: Output, options: Any) -> None:
    make, close, rebuild = options.make, options.close, options.reindex
    dry_run = options.dry_run
    if dry_run and (make or not (close or rebuild)):
        raise Refused(
            "Give --dry-run with --close or --reindex, and without --make.",
            returncode=2,
        )
    if not make and not close and not rebuild:
        _list(out)
        return
    made = [*create.make_ahead(), *create.make_for_strays()] if make else []
    cleared = maintenance.clear_away() if make else ClearedAway(0, 0)
    outcomes = _close(dry_run=dry_run) if close else []
    dropped = retention.drop_closed() if close and not dry_run else []
    reindexed = _reindex(dry_run=dry_run) if rebuild else []
    lines = [f"made    {one.name}" for one in made]
    if cleared.claims:
        lines.append(f"dropped {counted(cleared.claims, 'expired claim')}")
    if cleared.orphans:
        lines.append(
            f"dropped the last rows of {counted(cleared.orphans, 'deleted counter')}"
        )
    lines += [_as_text(outcome, dry_run=dry_run) for outcome in outcomes]
    lines += [f"dropped {table}" for table in dropped]
    lines += [_reindexed_as_text(one, dry_run=dry_run) for one in reindexed]
    document = {
        "made": [one.name for one in made],
        "expired_claims": cleared.claims,
        "orphans": cleared.orphans,
        "closed": [_as_json(one) for one in outcomes if one.kept_because is None],
        "kept": [_as_json(one) for one in outcomes if one.kept_because is not None],
        "dropped": dropped,
        "reindexed": [
            {
                "index": one.index.name,
                "partition": one.index.partition,
                "bytes_before": one.index.size_bytes,
                "bytes_after": one.bytes_after,
                "kept_because": one.kept_because,
            }
            for one in reindexed
        ],
    }
    out.answer(document, "\n".join(lines or ["Nothing to do."]))


def _list(out: Output) -> None:
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
            "state": _state(since, until, now, is_past=name in past_retention),
        }
        for name, since, until, size, events in fetch(
            connection, "counters", "measure_partitions"
        )
    ]
    out.answer_list(
        rows,
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
    since: datetime | None, until: datetime | None, now: datetime, *, is_past: bool
) -> str:
    if since is None or until is None:
        return "default"
    if since > now:
        return "ahead"
    if until > now:
        return "now"
    return "past retention" if is_past else "kept"


def _close(*, dry_run: bool) -> list[Outcome]:
    outcomes = []
    with counting_bar("Archiving", "partitions") as progress:
        bar = progress.add_task("archive", total=len(retention.due()))
        for outcome in retention.close_due(dry_run=dry_run):
            outcomes.append(outcome)
            progress.advance(bar)
    return outcomes


def _reindex(*, dry_run: bool) -> list[Rebuilt]:
    waiting = reindex.due()
    if dry_run:
        return [Rebuilt(index, None) for index in waiting]
    columns = (TextColumn("Reindexing"), BarColumn(), DownloadColumn())
    done = []
    with progress_bar(*columns, TimeRemainingColumn()) as progress:
        bar = progress.add_task("reindex", total=sum(one.size_bytes for one in waiting))
        for one in reindex.rebuild_due():
            done.append(one)
            progress.advance(bar, one.index.size_bytes)
    return done


def _as_text(outcome: Outcome, *, dry_run: bool) -> str:
    name = outcome.partition.name
    if outcome.kept_because is not None:
        return f"kept    {name}: {outcome.kept_because}"
    verb = "would archive" if dry_run else "archived"
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


def _reindexed_as_text(one: Rebuilt, *, dry_run: bool) -> str:
    index = one.index
    before = _size(index.size_bytes)
    if dry_run:
        return f"would rebuild {index.name}: {before}, {counted(index.events, 'event')}"
    if one.bytes_after is None:
        return f"left    {index.name}: {one.kept_because}"
    return f"rebuilt {index.name}: {before}, now {_size(one.bytes_after)}"


def _size(size_bytes: int) -> str:
    return filesizeformat(size_bytes).replace("\xa0", " ")
