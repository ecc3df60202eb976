"""Send heartbeats: each process stores its totals every ten seconds.

A separate thread does it on a separate connection, so that nothing else waits for it. If a
heartbeat fails, pages show less. See docs/decisions/0013-metrics.md.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

from django.db import OperationalError, connection
from psycopg.types.json import Jsonb

from counters import forking
from counters.db import errors
from counters.db.statements import affect
from counters.errors import NotAnchored
from rollups.folding import cluster_identity
from rollups.models import Process
from rollups.monitor import metrics
from rollups.trigger import publisher

logger = logging.getLogger(__name__)

# Roles of a worker whose -Q or -X leaves out the queue of rollup messages, and of
# `rollup --watch`.
OTHER_WORKER = "other worker"
WATCH = "watch"
EVERY_SECONDS = 10.0
# After three missed reports a process counts as dead, though it may come back.
ALIVE_WITHIN = timedelta(seconds=3 * EVERY_SECONDS)
# Then its row is deleted, and its numbers are added to the row of all ended processes.
FORGOTTEN_AFTER = timedelta(minutes=10)
ENDED = UUID(int=0)


class Reporter:
    """Send the heartbeats of one process."""

    def __init__(self, role: str) -> None:
        self.role = role
        self._id = uuid4()
        self._reported: Counter[str] = Counter()
        # The numbers reported under a row that was deleted since.
        self._base: Counter[str] = Counter()
        self._ending = threading.Event()
        self._has_failed = False

    def start(self) -> None:
        with suppress(RuntimeError):  # no more threads
            threading.Thread(target=self._run, name="presence", daemon=True).start()

    def report(self) -> None:
        """Write the process's row; raises what the database raises."""
        numbers = Counter(publisher.get().totals() | metrics.totals())
        state = {
            "breaker_is_open": publisher.get().breaker.is_open,
            "waiting": publisher.get().waiting,
        }
        sent = Jsonb(_less(numbers, self._base))
        if not affect(
            connection, "rollups", "update_process", id=self._id, numbers=sent, **state
        ):
            # The first report, or the row was deleted: its numbers are in the sum.
            self._base = self._reported
            Process.objects.create(
                id=self._id,
                role=self.role,
                host=socket.gethostname()[:255],
                pid=os.getpid(),
                numbers=_less(numbers, self._base),
                **state,
            )
        self._reported = numbers

    def _report_twice(self) -> None:
        """Report; if the connection fails, once more on a new one.

        Celery closes Django's pool in each new child and, without CELERY_DB_REUSE_MAX, after
        each task, whatever other threads of the process do with it.
        """
        try:
            self.report()
        except OperationalError:
            connection.close()
            self.report()

    def _run(self) -> None:
        while True:
            try:
                self._report_twice()
                self._has_failed = False
                # Also where no worker runs: writes continue, and some process must notice.
                with suppress(NotAnchored):
                    cluster_identity.check()
            # A failure of the database must not end this thread.
            except Exception as error:
                level = logging.DEBUG if self._has_failed else logging.WARNING
                said = errors.explain(error) or repr(error)
                logger.log(level, "This process cannot store its heartbeat: %s", said)
                self._has_failed = True
            finally:
                # Close the connection: an open one would double the service's connections.
                with suppress(Exception):
                    connection.close()
            if self._ending.wait(EVERY_SECONDS):
                return


_reporter: Reporter | None = None


_starting = forking.lock()


def start(role: str) -> None:
    """Report this process from now on; forked children call this again."""
    global _reporter
    if _reporter is not None:
        return
    with _starting:
        if _reporter is None:
            _reporter = Reporter(role)
            _reporter.start()


def forget_silent() -> None:
    """Delete processes without a recent heartbeat. Their totals stay in the sum."""
    affect(
        connection,
        "rollups",
        "forget_processes",
        silent=FORGOTTEN_AFTER,
        ended=ENDED,
    )


def _less(numbers: Counter[str], base: Counter[str]) -> dict[str, int]:
    return {name: count - base[name] for name, count in numbers.items()}


@forking.in_child
def _forget_reporter() -> None:
    """Forget the parent's reporter: its thread does not run in a child."""
    global _reporter
    _reporter = None
