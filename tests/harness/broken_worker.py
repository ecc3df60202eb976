"""A Celery worker whose folds are wrong on purpose, to see that the harness notices.

`python -m tests.harness.broken_worker KIND WORDS-FOR-CELERY`. The service has no switch
for this: the statements are replaced in this process, before its children are forked.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

import django
from celery.__main__ import main as celery
from django.db import connection

from counters.db import statements

_SUM = "coalesce(folded.delta, 0)"
_UNCOVERED = "xid >= pg_snapshot_xmax(folding.watermark)"
_ALSO_UNCOVERED = "FROM pg_snapshot_xip(folding.watermark) AS was_open (xid)"
_STORED = "watermark = pg_current_snapshot()"
_WINDOW_SECONDS = 1.0
# Then every fold would be slow, and nothing more be shown.
_WINDOWS = 3


def replaced(text: str, *changes: tuple[str, str]) -> str:
    """Return the statement with the changes; each must apply."""
    for old, new in changes:
        if old not in text:
            raise ValueError(f"the statement has no {old!r} any more")
        text = text.replace(old, new)
    return text


def by_timestamp() -> None:
    """Fold what happened since the last fold's time: the rule of most rollup tables."""
    newer = "xid >= pg_snapshot_xmax('1:1:') AND event_time > "
    newer += "coalesce(folding.watermark_at, '-infinity')"
    _replace_fold(
        ("rollup.watermark,", "rollup.watermark, rollup.watermark_at,"),
        (_UNCOVERED, newer),
        (_ALSO_UNCOVERED, "FROM pg_snapshot_xip('1:1:') AS was_open (xid)"),
    )


def twice() -> None:
    """Apply every fold's sum twice, in rollup and buckets alike."""
    _replace_fold(
        (_SUM, f"2 * {_SUM}"),
        ("sum(event.delta) AS delta", "2 * sum(event.delta) AS delta"),
    )


def with_an_early_snapshot() -> None:
    """Store as watermark a snapshot that was taken before the rollups were locked.

    Between the two an event is committed: it is summed, and not covered. That takes luck
    in real life; here the fold waits for it.
    """
    _replace_fold(
        (_STORED, "watermark = current_setting('harness.early')::pg_snapshot")
    )
    # Not imported above: it needs Django to be set up.
    folding: Any = import_module("rollups.folding.fold")
    locked: Callable[[str, Collection[int]], set[int]] = folding._ids

    used: list[int] = []

    def lock(statement: str, counter_ids: Collection[int]) -> set[int]:
        if statement != "lock_rollups":
            return locked(statement, counter_ids)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('harness.early', pg_current_snapshot()::text, true)"
            )
            found = locked(statement, counter_ids)
            deadline = time.monotonic() + _WINDOW_SECONDS
            while len(used) < _WINDOWS and time.monotonic() < deadline:
                if _something_came(cursor, found):
                    used.append(len(found))
                    break
                time.sleep(0.01)
        return found

    folding._ids = lock


def _something_came(cursor: Any, counter_ids: Collection[int]) -> bool:
    cursor.execute(
        "SELECT FROM counters_event WHERE counter_id = ANY (%s)"
        " AND NOT pg_visible_in_snapshot(xid,"
        " current_setting('harness.early')::pg_snapshot) LIMIT 1",
        [list(counter_ids)],
    )
    return cursor.fetchone() is not None


def _replace_fold(*changes: tuple[str, str]) -> None:
    loaded = statements.load

    def load(app: str, name: str) -> str:
        text = loaded(app, name)
        return replaced(text, *changes) if name == "fold_events" else text

    # `cache` gave the real one more than a plain function has.
    statements.load = load  # type: ignore[assignment]


KINDS: dict[str, Callable[[], None]] = {
    "timestamp": by_timestamp,
    "early-snapshot": with_an_early_snapshot,
    "twice": twice,
}


def main() -> None:
    kind, *words = sys.argv[1:]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")
    django.setup()
    KINDS[kind]()
    sys.argv = ["celery", *words]
    celery()


if __name__ == "__main__":
    main()
