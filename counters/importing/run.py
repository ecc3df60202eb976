"""Run an import, one committed batch after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from counters.db import clock
from counters.db.transactions import own_transaction
from counters.errors import CountersError
from counters.importing import mapping, resume, write
from counters.importing import rows as formats
from counters.importing.errors import BadRow, CannotImport, QuoteOpen
from counters.importing.input import Input, Lines
from counters.importing.mapping import RowMapping
from counters.importing.options import Options
from counters.importing.rejects import Rejects
from counters.importing.resume import Progress, Totals
from counters.importing.rows import Rows, Unreadable
from counters.importing.write import Coverage
from counters.models import CounterType, Namespace
from counters.namespaces import lookup
from counters.recording.validation import TokenedEvent


@dataclass(slots=True)
class Watcher:
    """Receives progress reports of an import."""

    # The import continues after this line of the file.
    resumed: Callable[[int], None] = lambda line: None
    rejected: Callable[[int, str], None] = lambda line, reason: None
    # After each batch.
    advanced: Callable[[Totals], None] = lambda totals: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an import."""

    totals: Totals
    # The last line that was read, if the import stopped at --max-rejects.
    stopped_after_line: int | None
    partitions_made: int
    # The last line's number if it has no line end and may be half a row. NDJSON has no half rows.
    unfinished_line: int | None


class TooManyRejects(Exception):
    """More rows were rejected than --max-rejects allows."""


class Import:
    """Run one import."""

    def __init__(self, options: Options, source: Input, watcher: Watcher) -> None:
        self._options = options
        self._watcher = watcher
        self._namespace = lookup.get(options.namespace)
        if self._namespace.counter_type == CounterType.BEST_EFFORT:
            raise CannotImport(
                f"Namespace {options.namespace!r} is best-effort: its counters take no tokens,"
                " so repeated rows would count again."
            )
        self._reader = Reader(options, source, self._namespace)
        self._rejects = Rejects(
            options.rejects_file,
            encoding=self._reader.lines.encoding,
            header_text=self._reader.table.header_text,
            dialect=self._reader.table.dialect,
        )
        self._coverage = Coverage()
        # None if no progress is stored.
        self._digest = (
            options.digest(source.fingerprint()) if options.keeps_progress else None
        )
        self._progress = self._begin_or_resume()
        self._totals = self._progress.totals

    @property
    def source(self) -> str:
        """Return the name that identifies the file's rows."""
        return self._reader.source

    @property
    def committed(self) -> Progress:
        """Return the position after the last committed row."""
        return self._progress

    def run(self) -> Outcome:
        """Import all rows; Ctrl-C and errors leave what is committed, and the progress."""
        started = time.monotonic() - self._totals.seconds
        complete = True
        try:
            # An earlier run of this import may have reached the limit.
            self._stop_at_max_rejects()
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
        lines, is_csv = self._reader.lines, self._reader.table.header_text is not None
        has_rows = complete and self._totals.rows > 0
        unfinished = has_rows and is_csv and lines.unfinished
        return Outcome(
            self._totals,
            None if complete else self._progress.line,
            self._coverage.made,
            lines.number if unfinished else None,
        )

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
        most = self._options.max_rejects
        if most is not None and self._totals.rejected > most:
            raise TooManyRejects

    def _commit(self, batch: Batch, started: float) -> None:
        """Commit the batch together with the place after its last row."""
        totals = self._totals
        if (most := self._options.max_rejects) is not None:
            batch = batch.with_bad_rows(most - totals.rejected + 1)
        totals.rows += batch.rows
        for bad in batch.bad:
            self._reject(bad.origin, bad.reason)
        if not self._options.dry_run:
            self._coverage.ensure(batch.events)
        with own_transaction(durable=True):
            if not self._options.dry_run:
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
        # A row with several refused events is rejected once.
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


class Reader:
    """Read batches of events, one ahead of the batch that is being committed."""

    def __init__(self, options: Options, source: Input, namespace: Namespace) -> None:
        self.lines = Lines(source.stream, options.encoding)
        self.source = mapping.as_written(
            options.source or source.name, self.lines.encoding
        )
        self._mapping = RowMapping(options, namespace, self.source)
        self._batch_rows = options.batch_rows
        # A read from a pipe may never return, and its thread could not be stopped.
        self._reads_ahead = not options.from_stdin
        # Raised after the rows before it are committed.
        self._quote_open: QuoteOpen | None = None
        self.table = formats.table(options, source, self.lines, self._mapping.columns)

    def batches(self) -> Generator[Batch, None, None]:
        """Yield the remaining batches, from the current position of the lines."""
        rows = self.table.read()

        def read() -> Batch:
            return self._read(rows)

        if self._reads_ahead:
            yield from _ahead(read)
        else:
            while (batch := read()).rows:
                yield batch

    def _read(self, rows: Rows) -> Batch:
        """Return the next batch; it is empty at the end of the input."""
        if self._quote_open is not None:
            raise self._quote_open
        batch = Batch()
        try:
            self._fill(batch, rows)
        except QuoteOpen as error:
            if not batch.rows:
                raise
            self._quote_open = error
            batch.offset = self.lines.first_offset
            batch.line = self.lines.first_number - 1
        return batch

    def _fill(self, batch: Batch, rows: Rows) -> None:
        for row in rows:
            batch.rows += 1
            place = mapping.place_of(row.line, row.place, self.source)
            origin = Origin(row.line, place, self.lines.text)
            if isinstance(row, Unreadable):
                self._add_bad(batch, origin, row.reason)
            else:
                try:
                    batch.add(self._mapping.events_of(row), origin)
                except BadRow as bad:
                    self._add_bad(batch, origin, str(bad))
            if max(len(batch.events), len(batch.bad)) >= self._batch_rows:
                break
        batch.offset, batch.line = self.lines.offset, self.lines.number

    def _add_bad(self, batch: Batch, origin: Origin, reason: str) -> None:
        offset, line = self.lines.offset, self.lines.number
        batch.bad.append(
            Bad(origin, reason, len(batch.events), batch.rows, offset, line)
        )


def _ahead(read: Callable[[], Batch]) -> Iterator[Batch]:
    """Yield batches until an empty one; a thread reads the next batch during the commit.

    The thread does not use the database.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        reading = thread.submit(read)
        while (batch := reading.result()).rows:
            reading = thread.submit(read)
            yield batch


@dataclass(frozen=True, slots=True)
class Origin:
    """A row and its position, for the rejects file."""

    line: int
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot be imported."""

    origin: Origin
    reason: str
    # The events and the rows of the batch up to this row, and the place in the file after it.
    events: int
    rows: int
    offset: int
    line: int


@dataclass(slots=True)
class Batch:
    """The rows of one commit: their events and their errors."""

    events: list[TokenedEvent] = field(default_factory=list)
    # The row of each event.
    origins: list[Origin] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    rows: int = 0
    # The place in the file after the last row.
    offset: int = 0
    line: int = 0

    def add(self, events: list[TokenedEvent], origin: Origin) -> None:
        self.events += events
        self.origins += [origin] * len(events)

    def with_bad_rows(self, most: int) -> Batch:
        """Return the batch up to this bad row; all of it if it has fewer of them."""
        if len(self.bad) < most:
            return self
        last = self.bad[most - 1]
        return Batch(
            self.events[: last.events],
            self.origins[: last.events],
            self.bad[:most],
            last.rows,
            last.offset,
            last.line,
        )
