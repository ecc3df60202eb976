"""Gathering: how long a publisher lets counters gather before its next message."""

from __future__ import annotations

from rollups import conf

# How much longer it gathers where all that had gathered was spared. A hot counter's last
# adds may wait so long for their message.
_SPARED_GATHERINGS = 3
# Where processes crowd the cores, a message takes many times as long. So it may take a
# tenth of the time at most, up to a gathering that nobody would wait longer for.
_TIMES_SENDING = 10
_LONGEST_SECONDS = 0.2
# Messages that wait in the queue when workers keep up: those of one moment. A worker
# reads hundreds a second, so what waits behind so many is late by less than a gathering.
_FEW_QUEUED = 16


class Gathering:
    """Spaces the messages of one process.

    Where workers fall behind, a message more makes no fold earlier: it takes the CPU from
    which they would catch up. So the space doubles with each message while more than a few
    wait in the queue, and halves again when they are gone.
    """

    def __init__(self) -> None:
        self._times = 1.0

    def seconds(self, took_seconds: float, *, all_spared: bool, queued: int) -> float:
        """Return how long to gather after a message that took so long to send."""
        least = conf.trigger_gather_seconds()
        most = max(_LONGEST_SECONDS / least, 1.0)
        behind = queued > _FEW_QUEUED
        self._times = min(max(self._times * (2.0 if behind else 0.5), 1.0), most)
        # What circulates is folded without our word: asking can wait.
        spaced = least * max(self._times, _SPARED_GATHERINGS if all_spared else 1.0)
        return max(spaced, min(_TIMES_SENDING * took_seconds, _LONGEST_SECONDS))
