"""Subcommands that fold, check and repair."""

from __future__ import annotations

import math
import signal
import sys
import time
from dataclasses import asdict
from types import FrameType
from typing import Any

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connection
from rich.table import Table

from counters.db import errors
from counters.errors import counted
from counters.models import Counter
from rollups import conf
from rollups.commands.base import (
    ONLY_NAMESPACE,
    Output,
    Refused,
    arg,
    counting_bar,
    flag,
    only_namespace,
    seconds,
    subcommand,
    whole_number,
)
from rollups.folding import audit, cluster_identity, sweep
from rollups.folding.audit import Audited
from rollups.folding.drain import drain
from rollups.monitor import heartbeat, samples
from rollups.monitor import status as judging
from rollups.monitor.status import Level, Limits, measure

# Differences that are printed; the summary counts all of them.
_SHOWN = 100
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.CRITICAL: "red"}


@subcommand(
    "rollup",
    "Fold pending counters without broker, worker or beat.",
    flag("--watch", "continue until Ctrl-C"),
    arg(
        "--every",
        type=seconds,
        default=0.5,
        metavar="SECONDS",
        help="with --watch: the pause between two checks (default: %(default)s)",
    ),
    about="Any number of these commands and of workers may run at the same time.",
    examples="""\
  manage.py counters rollup               fold the pending counters, then end
  manage.py counters rollup --watch       keep folding until Ctrl-C
  manage.py counters rollup --watch --every 0.1
      check ten times a second: about 0.1 s of staleness, one small query each time
""",
)
def rollup(out: Output, options: Any) -> None:
    if options.watch:
        if out.as_json:
            raise Refused("--json and --watch exclude each other.", returncode=2)
        _watch(out, options)
        return
    counters = events = 0
    with counting_bar("Folding") as progress:
        bar = progress.add_task("fold", total=judging.measure_lag().pending)
        for step in drain():
            counters += step.counters
            events += step.events
            progress.advance(bar, step.counters)
    out.answer(
        {"counters": counters, "events": events},
        f"Folded {counted(events, 'event')} of {counted(counters, 'counter')}.",
    )


def _watch(out: Output, options: Any) -> None:
    # A service manager stops this with SIGTERM, as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    out.say("Watching for pending counters; Ctrl-C stops.")
    recorded_at = -math.inf
    try:
        while True:
            try:
                events = sum(step.events for step in drain())
                # Not earlier: it would report a missing table or database a second time.
                heartbeat.start(heartbeat.WATCH)
                # Without beat nothing else records sweeps, and the status would miss them.
                if time.monotonic() - recorded_at >= conf.sweep_period_seconds() / 2:
                    recorded_at = time.monotonic()
                    sweep.record_watch()
                    samples.take()
            except (OperationalError, InterfaceError) as error:
                out.warn(f"The database does not answer. Trying again: {error}")
                connection.close()
                events = 0
            if events and options.verbosity > 1:
                out.say(f"Folded {counted(events, 'event')}.")
            time.sleep(options.every)
    except KeyboardInterrupt:
        out.say("Stopped.")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@subcommand(
    "status",
    "Show how far folding lags behind, and what is wrong.",
    arg(
        "--warn-lag",
        type=seconds,
        metavar="SECONDS",
        help="WARNING from this lag (default: two sweep periods)",
    ),
    arg(
        "--critical-lag",
        type=seconds,
        metavar="SECONDS",
        help="CRITICAL from this lag (default: twelve sweep periods)",
    ),
    arg(
        "--warn-healed",
        type=whole_number(0),
        metavar="COUNTERS",
        help="WARNING if sweeps healed this many counters in ten minutes (default: 100)",
    ),
    examples="""\
  manage.py counters status
  manage.py counters status --warn-lag 10 --critical-lag 60
  manage.py counters status --json | jq .lag_seconds
""",
    exit_codes="""\
0 OK; 1 WARNING; 2 CRITICAL, or the database cannot serve; 3 UNKNOWN: wrong
usage. This is the convention of Nagios and other monitoring systems.""",
    # Monitoring would read argparse's 2 as CRITICAL.
    wrong_usage=3,
)
def status(out: Output, options: Any) -> None:
    default = judging.default_limits()
    given = {
        "warn_lag_seconds": options.warn_lag,
        "critical_lag_seconds": options.critical_lag,
        "warn_healed": options.warn_healed,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        measured = measure()
    except DatabaseError as error:
        out.say(f"CRITICAL - {errors.explain(error) or errors.describe(error)}")
        sys.exit(Level.CRITICAL)
    verdicts = judging.judge(measured, Limits(**asdict(default) | chosen))
    level = max(verdict.level for verdict in verdicts)
    if out.is_terminal and not out.as_json:
        out.print(_verdict_table(level, verdicts))
    else:
        troubles = [one.says for one in verdicts if one.level == level]
        found = {
            one.name: {"level": one.level.name, "says": one.says} for one in verdicts
        }
        out.answer(
            {"level": level.name, **asdict(measured), "verdicts": found},
            f"{level.name} - {'; '.join(troubles)}",
        )
    if level:
        sys.exit(level)


def _verdict_table(level: Level, verdicts: list[judging.Verdict]) -> Table:
    table = Table("", "", "level", title=f"[{_STYLES[level]}]{level.name}[/]")
    for one in verdicts:
        table.add_row(one.name, one.says, f"[{_STYLES[one.level]}]{one.level.name}[/]")
    return table


@subcommand(
    "verify",
    "Recount every counter from its events, and compare.",
    ONLY_NAMESPACE,
    flag("--repair", "correct the counters that differ, from their events"),
    about="""\
Compares the events with each counter's rollup and its buckets. You may run it during writes: pending
events are not a difference.""",
    examples="""\
  manage.py counters verify                    compare all counters
  manage.py counters verify --namespace demo   compare the counters of one namespace
  manage.py counters verify --repair           correct the counters that differ
""",
    exit_codes="0 no difference, or all repaired; 1 some counters differ; 2 wrong usage",
)
def verify(out: Output, options: Any) -> None:
    namespace = only_namespace(options)
    counters = Counter.objects.all()
    if namespace:
        counters = counters.filter(namespace=namespace)
    different: list[Audited] = []
    audited = repaired = 0
    with counting_bar("Recounting") as progress:
        bar = progress.add_task("recount", total=counters.count())
        for batch in audit.audit(namespace):
            wrong = [one for one in batch if not one.is_right]
            if wrong and options.repair:
                repaired += len(audit.repair([one.counter_id for one in wrong]))
            different += wrong
            audited += len(batch)
            progress.update(bar, completed=audited)
    lines = [_difference(one) for one in different[:_SHOWN]]
    if len(different) > _SHOWN:
        lines.append(f"... and {len(different) - _SHOWN:,} more")
    summary = f"{counted(audited, 'counter')} recounted, {len(different):,} differ"
    if repaired:
        summary += f", {repaired:,} repaired"
    documents = [asdict(one) for one in different]
    for document in documents:
        del document["counter_id"]
    out.answer(
        {"audited": audited, "repaired": repaired, "different": documents},
        "\n".join([*lines, f"{summary}."]),
    )
    if len(different) > repaired:
        sys.exit(1)


def _difference(one: Audited) -> str:
    text = (
        f"{one.namespace}/{one.name}: total {one.total:,} of"
        f" {counted(one.events, 'event')};"
        f" recounted {one.recounted_total:,} of {one.recounted_events:,}"
        f" (off by {one.is_off_by:+,}); buckets {one.buckets_total:,}"
        f" of {one.buckets_events:,}"
    )
    if one.buckets_off:
        text += (
            f", {counted(one.buckets_off, 'bucket')} whose sums differ from the events"
        )
    if one.unseen_events:
        text += f"; {counted(one.unseen_events, 'pending event')} that no fold finds"
    return text


@subcommand(
    "reanchor",
    "Recount every counter after a restore from a dump, or after pg_upgrade.",
    flag("--anyway", "recount even if the cluster is the same"),
    about="""\
Recounts from the events, and stores the identity of this database cluster with the counts. Adds may
continue. Folds and accurate reads are refused until the end. If the command is interrupted, start it
again. After the restore of a physical backup you do not need it.""",
    examples="""\
  manage.py counters reanchor            after pg_restore; refused if nothing requires it
  manage.py counters reanchor --anyway   recount although the cluster is the same
""",
)
def reanchor(out: Output, options: Any) -> None:
    if cluster_identity.is_anchored() and not options.anyway:
        raise Refused(
            "The counts belong to this database cluster, so there is nothing to do. To recount"
            " anyway, give --anyway or use `manage.py counters verify`."
        )
    with counting_bar("Recounting") as progress:
        bar = progress.add_task("recount", total=Counter.objects.count())
        done = cluster_identity.reanchor(
            progress=lambda so_far: progress.update(bar, completed=so_far.counters)
        )
    out.answer(
        {"counters": done.counters, "events": done.events},
        f"Reanchored {counted(done.counters, 'counter')} from"
        f" {counted(done.events, 'event')}.",
    )
