"""The bar of a command that recounts counters, on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)

from counters.management.base import progress_bar

_COLUMNS = (
    TextColumn("Recounting"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("counters"),
    TimeRemainingColumn(),
)


@contextmanager
def recounting(counters: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar; yield a function that sets how many counters are done."""
    with progress_bar(*_COLUMNS) as bar:
        task = bar.add_task("recounting", total=counters)
        yield lambda done: bar.update(task, completed=done)
