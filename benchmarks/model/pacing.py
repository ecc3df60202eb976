"""When a process publishes and when a counter comes back, as the product does it.

`tests/benchmarks/test_model.py` holds the numbers against the product's own.
"""

from __future__ import annotations

from collections.abc import Collection

GATHER_SECONDS, FIRST_GATHER_SECONDS = 0.04, 0.005
SPARED_GATHERINGS = 3
GATHER_TIMES_SENDING, LONGEST_GATHER_SECONDS = 10, 0.2
FEW_QUEUED, LOOK_EVERY_SECONDS = 16, 1.0
REST_SECONDS = 0.025
PAUSE_TIMES_FOLDING, LONGEST_PAUSE_SECONDS = 5, 0.2
MESSAGE_COUNTERS = 500
# How often the thread that publishes waits in a message: it wakes from its pause and from the
# broker's answer, and after each it needs the interpreter's lock, which its process holds while
# that queues for a core.
MESSAGE_WAITS = 4
MOST_PASSED = 31


class Gathering:
    """Spaces the messages of a process: further apart where workers fall behind."""

    def __init__(self) -> None:
        self._times = 1.0
        self._looked_at, self._queued = -LOOK_EVERY_SECONDS, 0

    def look(self, now: float, queued: int) -> None:
        """Take in how long the queue is, as a publisher does once a second."""
        if now - self._looked_at >= LOOK_EVERY_SECONDS:
            self._looked_at, self._queued = now, queued

    def seconds(self, took_seconds: float, *, all_spared: bool) -> float:
        """Return how long a process gathers after a message that took so long to send."""
        behind = self._queued > FEW_QUEUED
        most = LONGEST_GATHER_SECONDS / GATHER_SECONDS
        self._times = min(max(self._times * (2 if behind else 0.5), 1.0), most)
        spaced = max(self._times, SPARED_GATHERINGS if all_spared else 1)
        sending = min(GATHER_TIMES_SENDING * took_seconds, LONGEST_GATHER_SECONDS)
        return max(GATHER_SECONDS * spaced, sending)


def pause_seconds(took_seconds: float) -> float:
    """Return after how long a counter comes back whose task took so long."""
    longer = min(PAUSE_TIMES_FOLDING * took_seconds, LONGEST_PAUSE_SECONDS)
    return max(REST_SECONDS, longer)


class Sparing:
    """Asks what circulates, less and less often where little does."""

    def __init__(self) -> None:
        self._passing = self._passed = 0

    @property
    def asks(self) -> bool:
        """Whether the next question goes to the cache, which costs something."""
        return self._passed >= self._passing

    def left(
        self, ids: Collection[int], coming_soon: set[int], being_folded: set[int]
    ) -> tuple[list[int], list[int]]:
        """Return those that need a message of their own, and those to ask about again."""
        if not self.asks:
            self._passed += 1
            return list(ids), []
        again = [one for one in ids if one in being_folded]
        left = [one for one in ids if one not in coming_soon | being_folded]
        pays = 2 * len(left) <= len(ids)
        self._passed = 0
        self._passing = 0 if pays else min(2 * self._passing + 1, MOST_PASSED)
        return left, again
