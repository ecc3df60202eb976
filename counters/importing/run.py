"""Runs an import from the first row to the last, one committed batch after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from counters.db import clock
from counters.db.transactions import own_transaction
from counters.errors import CountersError
from counters.importing import resume, write
from counters.importing.batch import Batch, Origin
from counters.importing.batches import Reader
from counters.importing.coverage import Coverage
from counters.importing.errors import CannotImport
from counters.importing.input import Input
from counters.importing.plan import Plan
from counters.importing.rejects import Rejects
from counters.importing.resume import Progress, Totals
from counters.models import CounterType
from counters.namespaces import lookup


@dataclass(slots=True)
class Watcher:
    """Who is told how the import goes."""

    # The import goes on behind this line of the file.
    resumed: Callable[[int], None] = lambda line: None
    rejected: Callable[[int, str], None] = lambda line, reason: None
    # After each batch.
    advanced: Callable[[Totals], None] = lambda totals: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import did."""

    totals: Totals
    # False where it stopped at the allowed number of rejects.
    complete: bool
    partitions_made: int


class TooManyRejects(Exception):
    """More rows were rejected than the plan allows."""


class Import:
    """One import under way."""

    def __init__(self, plan: Plan, source: Input, watcher: Watcher) -> None:
        self._plan = plan
        self._watcher = watcher
        self._namespace = lookup.get(plan.namespace)
        if self._namespace.counter_type == CounterType.BEST_EFFORT:
            raise CannotImport(
                f"Namespace {plan.namespace!r} is best-effort: its counters take no tokens,"
                " so nothing would count only once."
            )
        self._reader = Reader(plan, source, self._namespace)
        self._rejects = Rejects(
            plan.rejects_file,
            encoding=self._reader.lines.encoding,
            header_text=self._reader.table.header_text,
            dialect=self._reader.table.dialect,
        )
        self._coverage = Coverage()
        # None where no progress is kept.
        self._digest = (
            plan.digest(source.fingerprint()) if plan.keeps_progress else None
        )
        self._progress = self._begin_or_resume()
        self._totals = self._progress.totals

    @property
    def source(self) -> str:
        """Return the name that identifies the file's rows."""
        return self._reader.source

    @property
    def committed(self) -> Progress:
        """How far the import has come for good."""
        return self._progress

    def run(self) -> Outcome:
        """Import all rows; Ctrl-C and errors leave what is committed, and the progress."""
        started = time.monotonic() - self._totals.seconds
        complete = True
        try:
            # Closed at once when a commit fails, so that no thread reads on.
            with closing(self._reader.batches()) as batches:
                for batch in batches:
                    self._commit(batch, started)
        except TooManyRejects:
            complete = False
        finally:
            self._rejects.close()
        if complete and self._digest is not None:
            resume.forget(self._namespace, self._digest)
        return Outcome(self._totals, complete, self._coverage.made)

    def _begin_or_resume(self) -> Progress:
        found = self._digest and resume.read(self._namespace, self._digest)
        if not found:
            self._rejects.go_on(None)
            return Progress()
        self._reader.lines.seek(found.offset, found.line)
        self._rejects.go_on(found.rejects_size)
        self._watcher.resumed(found.line)
        return found

    def _reject(self, origin: Origin, reason: str) -> None:
        self._totals.rejected += 1
        self._rejects.write(place=origin.place, reason=reason, text=origin.text)
        self._watcher.rejected(origin.line, reason)

    def _stop_at_max_rejects(self) -> None:
        most = self._plan.max_rejects
        if most is not None and self._totals.rejected > most:
            raise TooManyRejects

    def _commit(self, batch: Batch, started: float) -> None:
        """Commit the batch together with the place behind its last row."""
        totals = self._totals
        totals.rows += batch.rows
        for origin, reason in batch.bad:
            self._reject(origin, reason)
            self._stop_at_max_rejects()
        if not self._plan.dry_run:
            self._coverage.ensure(batch.events)
        with own_transaction(durable=True):
            if not self._plan.dry_run:
                self._write(batch)
            self._count_old(batch)
            totals.events += len(batch.events)
            totals.seconds = time.monotonic() - started
            reached = Progress(batch.offset, batch.line, self._rejects.size(), totals)
            if self._digest is not None:
                resume.keep(self._namespace, self._digest, reached)
        self._progress = reached
        self._watcher.advanced(totals)
        self._stop_at_max_rejects()

    def _write(self, batch: Batch) -> None:
        # A row of which several events are refused is rejected once.
        refused: dict[int, tuple[Origin, str]] = {}

        def refuse(index: int, error: CountersError) -> None:
            origin = batch.origins[index]
            refused.setdefault(origin.line, (origin, error.message))

        written = write.write(batch.events, refuse)
        totals = self._totals
        totals.late_duplicates += (
            written.duplicates if totals.added else written.late_duplicates
        )
        totals.added += written.added
        totals.duplicates += written.duplicates
        for _, (origin, reason) in sorted(refused.items()):
            self._reject(origin, reason)

    def _count_old(self, batch: Batch) -> None:
        kept_since = clock.now() - self._namespace.retention
        self._totals.older_than_retention += sum(
            event.event_time < kept_since for event in batch.events
        )
