"""The rollup task: what the trigger enqueues. Safe to run twice, never retried."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task

from counters.db import errors
from counters.errors import NotAnchored
from rollups.trigger.task_class import FireAndForget
from rollups.worker import debounce, handle, messages
from rollups.worker.messages import BadMessage

logger = logging.getLogger(__name__)

# The last resort: the task itself stops much earlier, and PostgreSQL's time-outs end each
# of its statements.
HARD_LIMIT_SECONDS = 120


@shared_task(
    name="rollups.rollup",
    base=FireAndForget,
    ignore_result=True,
    time_limit=HARD_LIMIT_SECONDS,
    # Whatever the project says of its own: one that a killed worker had is the sweep's.
    acks_late=False,
)
@errors.log_missing_migrations()
def rollup(
    counter_ids: list[int],
    turn: int = 0,
    sweep_id: int | None = None,
    **of_a_newer_version: Any,
) -> None:
    """Fold these counters; those still pending afterwards stay in circulation.

    Workers of two versions share the queue. What a newer one says beside the ids is left
    out: to fold is right whatever it was, and a version adds keywords with defaults only.
    """
    try:
        messages.check(counter_ids, turn, sweep_id)
        pending = handle.work(counter_ids, turn=turn, sweep_id=sweep_id)
    except NotAnchored as error:
        logger.error("Not folded: %s", error.message)
        return
    except BadMessage as error:
        logger.error("Dropped a message of a wrong shape: %s.", error)
        return
    for number, again in enumerate(pending):
        try:
            rollup.apply_async(
                args=[again.counter_ids],
                kwargs={"turn": again.turn, "sweep_id": again.sweep_id},
                countdown=again.pause_seconds,
                ignore_result=True,
                retry=False,
            )
        # Counted and logged by the publisher; the sweep finds what was not sent.
        except Exception as error:
            logger.debug("Not in circulation: %r", error)
            # Give back the turns of messages that were not sent, so that new triggers may send.
            for unsent in pending[number:]:
                debounce.leave(unsent.counter_ids)
            return
