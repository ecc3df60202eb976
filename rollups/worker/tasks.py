"""The tasks: `rollup`, sent by triggers, and those that beat sends.

Safe to run twice or at once, never retried.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task

from counters.db import errors
from counters.errors import NotAnchored, shown
from rollups.folding import maintenance
from rollups.folding import sweep as sweeping
from rollups.monitor import prometheus, samples
from rollups.trigger import request
from rollups.trigger.broker import TASK
from rollups.worker import debounce, handle

logger = logging.getLogger(__name__)

# The last resort: the task itself stops much earlier, and PostgreSQL's time-outs end each
# of its statements.
HARD_LIMIT_SECONDS = 120
LARGEST_ID = 2**63 - 1
# Several times as many as the publishers put into one message.
MOST_COUNTERS = 10_000


class BadMessage(Exception):
    """A message that none of our publishers has made."""


@shared_task(
    name=TASK,
    ignore_result=True,
    time_limit=HARD_LIMIT_SECONDS,
    # Whatever the project's setting: the sweep finds what a killed worker had.
    acks_late=False,
)
@errors.log_missing_migrations()
def rollup(
    counter_ids: list[int],
    claim: int = 0,
    sweep_id: int | None = None,
    **newer: Any,
) -> None:
    """Fold these counters; re-enqueue those that could not be folded.

    Workers of two versions share the queue. A newer version adds keywords with defaults only,
    and folding is right whatever they say, so they are ignored.
    """
    try:
        check(counter_ids, claim, sweep_id)
        pending = handle.work(counter_ids, claim=claim, sweep_id=sweep_id)
    except NotAnchored as error:
        logger.error("Not folded: %s", error.message)
        return
    except BadMessage as error:
        logger.error("Dropped a message of a wrong shape: %s.", error)
        return
    for again in pending:
        sent = request.send(
            again.counter_ids,
            countdown_seconds=again.pause_seconds or None,
            claim=again.claim,
            sweep_id=again.sweep_id,
        )
        # So that the next trigger may re-enqueue them.
        debounce.release(again.counter_ids[sent:], again.claim)


@shared_task(name="rollups.sweep", ignore_result=True)
@errors.log_missing_migrations()
def sweep() -> None:
    """Look for counters whose trigger was lost, and enqueue them."""
    sweeping.sweep()
    samples.take()
    prometheus.tidy_up()


@shared_task(name="rollups.make_partitions", ignore_result=True)
@errors.log_missing_migrations()
def make_partitions() -> None:
    """Create the partitions of the coming days, and remove expired rows."""
    maintenance.clear_away()
    maintenance.make_partitions()


@shared_task(name="rollups.close_partitions", ignore_result=True, time_limit=3600)
@errors.log_missing_migrations()
def close_partitions() -> None:
    """Close the partitions that retention allows, and drop those closed earlier."""
    maintenance.close_partitions()


@shared_task(name="rollups.reindex_partitions", ignore_result=True, time_limit=3600)
@errors.log_missing_migrations()
def reindex_partitions() -> None:
    """Rebuild the indexes of partitions whose day is over."""
    maintenance.reindex_partitions()


def check(counter_ids: object, claim: object, sweep_id: object) -> None:
    """Raise BadMessage unless these are what `rollup` takes: any program may send a message."""
    if not isinstance(counter_ids, list) or len(counter_ids) > MOST_COUNTERS:
        raise BadMessage(f"counter_ids: {shown(counter_ids)} is not a list of ids")
    for counter_id in counter_ids:
        if not _is_whole(counter_id):
            raise BadMessage(f"counter_ids: {shown(counter_id)} is not an id")
    if not _is_whole(claim, at_least=0):
        raise BadMessage(f"claim: {shown(claim)} is not a claim's number")
    if sweep_id is not None and not _is_whole(sweep_id):
        raise BadMessage(f"sweep_id: {shown(sweep_id)} is not an id")


def _is_whole(value: object, *, at_least: int = 1) -> bool:
    # bool is a subclass of int.
    return type(value) is int and at_least <= value <= LARGEST_ID
