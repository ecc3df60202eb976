"""Works the demands out from what was measured: CPU seconds rather than times.

None of the points that the model is held against is looked at here. Two points that differ
in one thing give what is fixed and what each thing adds; an add's demand is measured at six
numbers of writers. The flush's share comes off, since how many calls share one depends on the
load.
"""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import facts
from benchmarks.model import alone, disk, fitting
from benchmarks.model.alone import Alone
from benchmarks.model.demands import Curve, Demands, Line
from benchmarks.model.disk import Disk
from benchmarks.model.writers import Seen, Turn

ADDS = [Turn(3), Turn(12)]
CROWDS = (1, 3, 6, 12, 24, 48)
WITHOUT_TRIGGER = [Turn(writers, trigger="off") for writers in CROWDS]
ONE = WITHOUT_TRIGGER[0]
BATCHES = [Turn(3, batch=30, trigger="off"), Turn(3, batch=300, trigger="off")]
BESIDE = [
    *(Turn(writers, workers=1) for writers in CROWDS),
    *(Turn(3, batch=events, workers=1) for events in (30, 300)),
]
TURNS = [*ADDS, *WITHOUT_TRIGGER, *BATCHES, *BESIDE]


def calibrate(
    data_dir: Path,
    seen: Mapping[Turn, Seen],
    by_itself: Alone,
    say: Callable[[str], None],
) -> Demands:
    """Return the demands of this machine and this code; `seen` has the turns of TURNS."""
    say("the disk")
    flush = disk.measure(data_dir)
    demands = demands_of(seen, by_itself, flush)
    say("what sharing the cores costs, and how many jobs stay where they were woken")
    own = {turn: seen[turn] for turn in (*WITHOUT_TRIGGER, *BESIDE)}
    return fitting.fitted(demands, own, cores=multiprocessing.cpu_count())


def demands_of(seen: Mapping[Turn, Seen], by_itself: Alone, flush: Disk) -> Demands:
    """Return the demands, but for what is worked out from whole runs."""

    def postgres(turn: Turn) -> float:
        """Return what a call takes of PostgreSQL but for flushing."""
        return seen[turn].postgres_cpu - seen[turn].flushes * flush.cpu_seconds

    small, large = BATCHES
    few, many = 1, alone.FOLD_MANY
    more_events = many * (alone.EVENTS_MANY - alone.EVENTS_FEW)
    each_event = by_itself.fold_events_postgres - by_itself.fold_many_postgres
    return Demands(
        add_client=Curve(
            [(turn.writers, seen[turn].client_cpu) for turn in WITHOUT_TRIGGER]
        ),
        add_postgres=Curve(
            [(turn.writers, postgres(turn)) for turn in WITHOUT_TRIGGER]
        ),
        add_wal_bytes=_mean(seen, WITHOUT_TRIGGER, "wal_bytes"),
        batch_client=_line(
            (small.batch, seen[small].client_cpu), (large.batch, seen[large].client_cpu)
        ),
        batch_postgres=_line(
            (small.batch, postgres(small)), (large.batch, postgres(large))
        ),
        batch_wal_bytes=_line(
            (small.batch, seen[small].wal_bytes), (large.batch, seen[large].wal_bytes)
        ),
        rest=_line((1, by_itself.rest_one), (alone.REST_MANY, by_itself.rest_many)),
        round_trip=_round_trip(seen[ONE], flush),
        ask=_line(
            (alone.ASKED_FEW, by_itself.ask_few), (alone.ASKED_MANY, by_itself.ask_many)
        ),
        message_client=statistics.fmean(
            seen[turn].publisher_cpu / seen[turn].messages
            # Without a worker nothing circulates, and publishers hardly ask whether it does.
            for turn in ADDS
        ),
        message_broker=by_itself.message_broker,
        message_consumer=by_itself.message_consumer,
        message_worker=by_itself.message_worker,
        message_postgres=by_itself.message_postgres,
        fold_worker=_line(
            (few, by_itself.fold_one_worker), (many, by_itself.fold_many_worker)
        ),
        fold_postgres=_line(
            (few, by_itself.fold_one_postgres), (many, by_itself.fold_many_postgres)
        ),
        fold_event_postgres=max(0.0, each_event / more_events),
        fold_wal_bytes=_line(
            (few, by_itself.fold_one_wal_bytes), (many, by_itself.fold_many_wal_bytes)
        ),
        flush_seconds=flush.seconds,
        flush_cpu=flush.cpu_seconds,
        flush_bytes_per_second=flush.bytes_per_second,
        facts=facts.of_machine()
        | {"others": f"{_mean(seen, WITHOUT_TRIGGER, 'others'):.2f} cores"},
    )


def _round_trip(one: Seen, flush: Disk) -> float:
    """Return what an idle round trip takes beside the CPU time of both ends.

    That is what is left of the time of a single writer's call: being woken.
    """
    flushing = one.flushes * (statistics.fmean(flush.seconds) - flush.cpu_seconds)
    return max(0.0, one.mean_ms / 1000 - one.cpu - flushing)


def _mean(seen: Mapping[Turn, Seen], turns: Sequence[Turn], name: str) -> float:
    return statistics.fmean(getattr(seen[turn], name) for turn in turns)


def _line(one: tuple[float, float], other: tuple[float, float]) -> Line:
    """Return the line through two points."""
    each = (other[1] - one[1]) / (other[0] - one[0])
    return Line(fixed=max(0.0, one[1] - each * one[0]), each=each)
