"""The class of a task whose enqueueing never waits and is never missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from celery import Task

from rollups import conf
from rollups.trigger import publisher
from rollups.trigger.broker import Message


class FireAndForget(Task):  # type: ignore[type-arg]
    """A task on counter ids that is published by this process's publisher.

    Enqueued plainly, in the background mode, the ids go into the publisher's set and the
    call returns in microseconds. With options of its own (when to run, when to expire),
    or in the inline mode, it is published at once, with hard time-outs, and what goes
    wrong is raised. There is no result to wait for, so nothing is returned.
    """

    abstract = True

    def apply_async(  # type: ignore[override]
        self,
        args: Sequence[Sequence[int]] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        expires: float | None = None,
        countdown: float | None = None,
        **_: Any,
    ) -> None:
        [counter_ids] = args
        plain = not kwargs and expires is None and countdown is None
        if plain and conf.trigger_mode() == "background":
            publisher.get().put(counter_ids)
            return
        message = Message(
            list(counter_ids),
            expires or publisher.EXPIRES_SECONDS,
            countdown,
            dict(kwargs or {}),
        )
        publisher.get().publish_now(message)
