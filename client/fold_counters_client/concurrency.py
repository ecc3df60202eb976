"""What threads and tasks do in different ways: sleep, wait, and run in the background.

`make sync-client` replaces the names for tasks by the names for threads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress


async def async_sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


def sleep(seconds: float) -> None:
    time.sleep(seconds)


async def async_wait(condition: asyncio.Condition, seconds: float | None) -> None:
    """Wait until the condition is notified, or for this time; None is without end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await condition.wait()


def wait(condition: threading.Condition, seconds: float | None) -> None:
    """Wait until the condition is notified, or for this time; None is without end."""
    condition.wait(seconds)


class AsyncBackground:
    """A task that does one piece of work."""

    def __init__(self, work: Callable[[], Coroutine[object, object, None]]) -> None:
        self._task = asyncio.create_task(work())

    def is_running(self) -> bool:
        return not self._task.done()

    async def join(self) -> None:
        """Wait for its end."""
        await self._task


class Background:
    """A thread that does one piece of work; it ends with the program at the latest."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(
            target=work, name="counters-batcher", daemon=True
        )
        self._thread.start()

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()
