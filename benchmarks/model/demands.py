"""What each operation takes of each station, as measured: the model knows nothing else."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

CALIBRATION = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds (or bytes) of one call and of each thing in it: `fixed + each * n`."""

    fixed: float
    each: float

    def of(self, n: float) -> float:
        return self.fixed + self.each * n


@dataclass(frozen=True, slots=True)
class Curve:
    """Seconds of one add by how many write at once: straight lines over the logarithm.

    Also how many times as much something takes, by that or by the events of a call.

    The more processes take turns on a core, the less of what one needs is still in its
    caches: first in the core's own, and with some tens of them in the one that all share.
    """

    # Writers, ascending, and the seconds that were measured with so many; two at least.
    points: list[tuple[int, float]]

    def of(self, writers: int) -> float:
        """Return the seconds; beyond the first and the last point what that one has."""
        for (low, fewer), (high, more) in pairwise(self.points):
            if writers < high:
                share = max(0.0, math.log2(writers / low)) / math.log2(high / low)
                return fewer + share * (more - fewer)
        return self.points[-1][1]


EVEN = Curve([(1, 1.0), (2, 1.0)])
# Where many callers have a machine of their own, it is as crowded as with so many here.
CROWDED = 12


@dataclass(frozen=True, slots=True)
class Demands:
    """Seconds of CPU, of the disk, of waiting; and bytes of WAL."""

    # One `recording.add` in the process of the caller, and in PostgreSQL without the flush.
    add_client: Curve
    add_postgres: Curve
    add_wal_bytes: float
    # `recording.add_many` of n events.
    batch_client: Line
    batch_postgres: Line
    batch_wal_bytes: Line
    # A REST call of n events in the web server.
    rest: Line
    # From one process to the other and back, where both had gone to sleep.
    round_trip: float
    # Asking the cache which of n counters circulate, or telling it, in who asks.
    ask: Line
    # A message of a trigger: in the writer's process, in the broker, in the worker's main
    # process and in the one that folds.
    message_client: float
    message_broker: float
    message_consumer: float
    message_worker: float
    message_postgres: float
    # A fold of n counters, and what each event in it adds.
    fold_worker: Line
    fold_postgres: Line
    fold_event_postgres: float
    fold_wal_bytes: Line
    # A flush of the WAL: what such flushes took, the kernel's CPU, bytes a second.
    flush_seconds: list[float]
    flush_cpu: float
    flush_bytes_per_second: float
    # How many times as much a client, PostgreSQL and a worker take where all of them share
    # the cores, and so their caches, by the number of writers: see `fitting`. PostgreSQL's for
    # a batch, by its events: folds remove last writes, which adds insert anew where they would
    # update them in place.
    beside_client: Curve = EVEN
    beside_postgres: Curve = EVEN
    beside_worker: Curve = EVEN
    beside_batch: Curve = EVEN
    # The only number that is fitted to what came out and not to what was taken.
    sticky: float = 0.0
    facts: dict[str, str] = field(default_factory=dict)


def save(demands: Demands, path: Path = CALIBRATION) -> None:
    path.write_text(json.dumps(asdict(demands), indent=1) + "\n")


def load(path: Path = CALIBRATION) -> Demands:
    """Return the demands of the last calibration. Raises FileNotFoundError without one."""
    found = json.loads(path.read_text())
    shapes = {
        name: Curve(**value) if "points" in value else Line(**value)
        for name, value in found.items()
        if isinstance(value, dict) and name != "facts"
    }
    return Demands(**(found | shapes))
