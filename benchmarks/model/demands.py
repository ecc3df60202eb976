"""What each operation takes of each station, as measured: the model knows nothing else."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

CALIBRATION = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds (or bytes) of one call and of each thing in it: `fixed + each * n`."""

    fixed: float
    each: float

    def of(self, n: float) -> float:
        return self.fixed + self.each * n


def crowd(writers: int) -> float:
    """Return what the demands of an add grow with."""
    return math.log2(writers)


# Where many callers have a machine of their own: as crowded as the calibration's larger run.
CROWDED = crowd(12)


@dataclass(frozen=True, slots=True)
class Demands:
    """Seconds of CPU, of the disk, of waiting; and bytes of WAL."""

    # One `recording.add` in the process of the caller, and in PostgreSQL without the flush;
    # n is the binary logarithm of the writers: the more take turns on a core, the less of
    # what one needs is still in its caches.
    add_client: Line
    add_postgres: Line
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
    # the cores, and so their caches: see `fitting`. PostgreSQL's for a batch: folds remove
    # last writes, which adds insert anew where they would update them in place.
    beside_client: float = 1.0
    beside_postgres: float = 1.0
    beside_worker: float = 1.0
    beside_batch: float = 1.0
    # The only number that is fitted to what came out and not to what was taken.
    sticky: float = 0.0
    facts: dict[str, str] = field(default_factory=dict)


def save(demands: Demands, path: Path = CALIBRATION) -> None:
    path.write_text(json.dumps(asdict(demands), indent=1) + "\n")


def load(path: Path = CALIBRATION) -> Demands:
    """Return the demands of the last calibration. Raises FileNotFoundError without one."""
    found = json.loads(path.read_text())
    lines = {
        name: Line(**value)
        for name, value in found.items()
        if isinstance(value, dict) and name != "facts"
    }
    return Demands(**(found | lines))
