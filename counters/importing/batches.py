"""Reads batches of rows, one ahead of the one that is being committed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

from counters.importing import formats, row_tokens
from counters.importing.batch import Batch, Origin
from counters.importing.errors import BadRow
from counters.importing.input import Input
from counters.importing.lines import Lines
from counters.importing.mapping import Mapping
from counters.importing.plan import Plan
from counters.importing.rows import Rows, Unreadable
from counters.models import Namespace


class Reader:
    """An input as batches of events."""

    def __init__(self, plan: Plan, source: Input, namespace: Namespace) -> None:
        self.lines = Lines(source.stream, plan.encoding)
        self.source = row_tokens.as_written(
            plan.source or source.name, self.lines.encoding
        )
        self._mapping = Mapping(plan, namespace, self.source)
        self._batch_rows = plan.batch_rows
        # A read from a pipe may wait for ever, and nobody could stop a thread in it.
        self._reads_ahead = not plan.from_stdin
        self.table = formats.table(plan, source, self.lines, self._mapping.columns)

    def batches(self) -> Generator[Batch, None, None]:
        """Yield what is left to import, from where the lines stand."""
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
        batch = Batch()
        for row in rows:
            batch.rows += 1
            place = row_tokens.place_of(row.line, row.place, self.source)
            origin = Origin(row.line, place, self.lines.text)
            if isinstance(row, Unreadable):
                batch.bad.append((origin, row.reason))
            else:
                try:
                    batch.add(self._mapping.events_of(row), origin)
                except BadRow as bad:
                    batch.bad.append((origin, str(bad)))
            if max(len(batch.events), len(batch.bad)) >= self._batch_rows:
                break
        batch.offset, batch.line = self.lines.offset, self.lines.number
        return batch


def _ahead(read: Callable[[], Batch]) -> Iterator[Batch]:
    """Yield batches until an empty one; a thread reads the next while one is used.

    That thread touches no database: while PostgreSQL works, Python reads.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        reading = thread.submit(read)
        while (batch := reading.result()).rows:
            reading = thread.submit(read)
            yield batch
