"""Sparing triggers: a counter that is about to be folded anyway needs no message."""

from __future__ import annotations

from collections.abc import Collection

from rollups.worker import debounce
from rollups.worker.debounce import Circulating

# Where few counters are hot, the cache is asked once in so many messages. It also bounds
# what a cache that does not answer costs: its time-out, once in a second or so.
_MOST_PASSED = 31


class Sparing:
    """Asks the cache what circulates; less and less often where that finds little.

    To ask costs about as much for a counter as naming it in a message that is sent anyway.
    So it pays where at least half of the counters are spared, best of all where all are.

    A hot counter that many processes write would else get a message from each of them every
    few milliseconds, and a worker would read them all only to see that the counter rests.
    """

    def __init__(self) -> None:
        self._passing = 0
        self._passed = 0

    def of(self, counter_ids: Collection[int]) -> Circulating:
        """Return those of the counters that need no message now."""
        if self._passed < self._passing:
            self._passed += 1
            return Circulating()
        found = debounce.look_up(counter_ids)
        self._passed = 0
        spared = len(found.coming_soon) + len(found.being_folded)
        pays = 2 * spared >= len(counter_ids)
        self._passing = 0 if pays else min(2 * self._passing + 1, _MOST_PASSED)
        return found

    def end(self) -> None:
        """For the thread that has asked, before it ends."""
        debounce.hang_up()
