"""The tables of docs/capacity.md: each either measured, or worked out, or simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.model import extrapolating
from benchmarks.model.demands import Curve, Demands, Line
from benchmarks.model.extrapolating import OnPaper, Simulated
from benchmarks.model.validating import WITHIN, Compared

COMMAND = "python -m benchmarks.model --publish"
PRIMARY_CORES = [16, 32, 64]


def write(directory: Path, tables: dict[str, str]) -> None:
    """Write `capacity-<name>.md` for each table."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in tables.items():
        header = f"<!-- Written by `{COMMAND}`. -->\n\n"
        (directory / f"capacity-{name}.md").write_text(f"{header}{text}\n")


def demands_table(demands: Demands) -> str:
    """What was measured: the model's only input."""

    def us(value: float) -> str:
        return _short(value * 1e6)

    def line(value: Line) -> str:
        return f"{us(value.fixed)} + {us(value.each)} n"

    def curve(value: Curve) -> str:
        return ", ".join(us(seconds) for _, seconds in value.points)

    def factors(value: Curve) -> str:
        return ", ".join(f"{factor:.2f}" for _, factor in value.points)

    def counts(value: Curve) -> str:
        return ", ".join(str(count) for count, _ in value.points)

    writers, together = counts(demands.add_client), counts(demands.beside_client)
    flushes = sorted(demands.flush_seconds)
    rows = [
        (
            "`recording.add`: the caller's process",
            curve(demands.add_client),
            f"µs CPU, with {writers} writers",
        ),
        (
            "`recording.add`: PostgreSQL, without the flush",
            curve(demands.add_postgres),
            f"µs CPU, with {writers} writers",
        ),
        ("`recording.add`: WAL", _short(demands.add_wal_bytes), "bytes"),
        (
            "`recording.add_many` of n: the caller's process",
            line(demands.batch_client),
            "µs CPU",
        ),
        (
            "`recording.add_many` of n: PostgreSQL",
            line(demands.batch_postgres),
            "µs CPU",
        ),
        (
            "`recording.add_many` of n: WAL",
            f"{_short(demands.batch_wal_bytes.fixed)} + {_short(demands.batch_wal_bytes.each)} n",
            "bytes",
        ),
        ("REST call of n events: Gunicorn", line(demands.rest), "µs CPU"),
        ("round trip, beside the CPU of both ends", us(demands.round_trip), "µs"),
        ("asking what circulates of n counters", line(demands.ask), "µs CPU"),
        ("message of a trigger: its writer", us(demands.message_client), "µs CPU"),
        ("message: Valkey", us(demands.message_broker), "µs CPU"),
        ("message: Celery's main process", us(demands.message_consumer), "µs CPU"),
        ("message: the process that folds", us(demands.message_worker), "µs CPU"),
        (
            "message: PostgreSQL, nothing pending",
            us(demands.message_postgres),
            "µs CPU",
        ),
        ("fold of n counters: worker", line(demands.fold_worker), "µs CPU"),
        ("fold of n counters: PostgreSQL", line(demands.fold_postgres), "µs CPU"),
        ("each event of a fold: PostgreSQL", us(demands.fold_event_postgres), "µs CPU"),
        ("flush of the WAL, median", us(flushes[len(flushes) // 2]), "µs"),
        ("flush of the WAL, p99", us(flushes[len(flushes) * 99 // 100]), "µs"),
        ("flush of the WAL: the kernel", us(demands.flush_cpu), "µs CPU"),
        ("writing to the WAL", _short(demands.flush_bytes_per_second / 1e6), "MB/s"),
        (
            "writers beside a worker: single adds",
            factors(demands.beside_client),
            f"times, with {together} writers",
        ),
        (
            "PostgreSQL for writers and a worker: single adds, folds",
            factors(demands.beside_postgres),
            f"times, with {together} writers",
        ),
        (
            "PostgreSQL for writers and a worker: batches",
            factors(demands.beside_batch),
            f"times, with {counts(demands.beside_batch)} events a call",
        ),
        (
            "worker beside writers: messages, folds",
            factors(demands.beside_worker),
            f"times, with {together} writers",
        ),
        ("jobs that stay where they were woken, fitted", f"{demands.sticky:.0%}", ""),
    ]
    facts = demands.facts
    return "\n".join(
        [
            *_table(["measured", "", ""], rows),
            "",
            "`make bench-model`, which is `python -m benchmarks.model --calibrate --publish`.",
            f"{facts['machine']}; PostgreSQL {facts['PostgreSQL']}; {facts['durability']};",
            f"Python {facts['Python']}; commit {facts['commit']}, {facts['at']}. Other programs",
            f"used {facts['others']} meanwhile.",
        ]
    )


def validation_table(compared: Sequence[Compared]) -> str:
    """Simulated beside measured, at points that the calibration has not seen."""
    heads = ["writers", "events a call", "workers"]
    heads += ["calls/s, simulated", "calls/s, measured", "error"]
    heads += ["p50 ms, simulated", "p50 ms, measured", "mean ms, simulated"]
    heads += ["mean ms, measured", "error", "others' cores", "within 20 %"]
    rows = [
        (
            str(one.turn.writers),
            f"{one.turn.batch:,}",
            str(one.turn.workers),
            _short(one.predicted.calls_per_second),
            _short(one.seen.calls_per_second),
            f"{one.throughput_error:+.0%}",
            _short(one.predicted.p50_ms),
            _short(one.seen.p50_ms),
            _short(one.predicted.mean_ms),
            _short(one.seen.mean_ms),
            f"{one.response_error:+.0%}",
            f"{one.seen.others:.1f}",
            "yes" if one.holds else "**no**",
        )
        for one in compared
    ]
    held = sum(one.holds for one in compared)
    return "\n".join(
        [
            *_table(heads, rows),
            "",
            f"{held} of {len(compared)} points within {WITHIN:.0%}.",
        ]
    )


def paper_table(papers: Sequence[OnPaper]) -> str:
    """Worked out, not measured and not simulated: rate times demand."""
    lines: list[tuple[str, Callable[[OnPaper], float]]] = [
        ("calls a second", lambda one: one.calls_per_second),
        ("PostgreSQL, adds: cores that are busy", lambda one: one.database_cores),
        (
            "PostgreSQL, folds: cores, if each event is of another counter",
            lambda one: one.fold_database_cores,
        ),
        ("callers in Python: cores", lambda one: one.python_cores),
        ("Gunicorn, if by REST: cores", lambda one: one.rest_cores),
        ("workers: cores, without their messages", lambda one: one.worker_cores),
        ("WAL, MB/s", lambda one: one.wal_megabytes),
        ("flushes a second, at most", lambda one: one.flushes_per_second),
        ("events' disk, TB a day at 180 bytes", lambda one: one.disk_terabytes_a_day),
        ("transaction ids a second", lambda one: one.transactions_per_second),
        ("minutes to `autovacuum_freeze_max_age`", lambda one: one.freeze_minutes),
        ("hours to 2^31 transactions", lambda one: one.wraparound_hours),
    ]
    rows = [(label, *(_short(value(one)) for one in papers)) for label, value in lines]
    rows += [
        (
            f"primaries of {cores} cores at {extrapolating.AT_MOST:.0%}",
            *(str(extrapolating.primaries(one, cores)) for one in papers),
        )
        for cores in PRIMARY_CORES
    ]
    heads = ["worked out", *(f"{one.batch} a call" for one in papers)]
    return "\n".join([*_table(heads, rows), "", f"`{COMMAND}`."])


def simulated_table(found: Sequence[Simulated]) -> str:
    """Simulated: what hosts of that size would do, if nothing inside PostgreSQL queued."""
    heads = ["simulated: events a call", "calls/s", "cores: web", "database", "worker"]
    heads += ["busy: web", "database", "worker", "log", "p50 ms", "p99 ms"]
    heads += ["flushes/s", "commits a flush", "connections in use"]
    heads += ["counters folded/s", "events pending"]
    rows = [
        (
            str(one.batch),
            _short(one.predicted.calls_per_second),
            str(one.run.hosts.web),
            str(one.run.hosts.database),
            str(one.run.hosts.worker),
            f"{one.predicted.web_busy:.0%}",
            f"{one.predicted.database_busy:.0%}",
            f"{one.predicted.worker_busy:.0%}",
            f"{one.predicted.log_busy:.0%}",
            _short(one.predicted.p50_ms),
            _short(one.predicted.p99_ms),
            _short(one.predicted.flushes_per_second),
            _short(one.predicted.calls_per_flush),
            _short(one.predicted.in_database),
            _short(one.predicted.counters_folded_per_second),
            _short(one.predicted.pending_events),
        )
        for one in found
    ]
    return "\n".join([*_table(heads, rows), "", f"`{COMMAND}`."])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    marks = [":--", *["--:"] * (len(heads) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows)]


def _short(value: float) -> str:
    """Write a number with three digits that count."""
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"
