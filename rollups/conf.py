"""The settings of the read side, with their defaults; durations in seconds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from counters.conf import refuse_beyond

TriggerMode = Literal["background", "inline", "off"]


def trigger_mode() -> TriggerMode:
    """Who publishes a trigger: a thread in the background, the writer itself, nobody."""
    match _text("ROLLUPS_TRIGGER", "background"):
        case "inline":
            return "inline"
        case "off":
            return "off"
        case _:
            return "background"


def trigger_gather_seconds() -> float:
    """How far apart the messages of a busy process are, in the background mode."""
    return _number("ROLLUPS_TRIGGER_GATHER_SECONDS", 0.04)


def trigger_waiting_counters() -> int:
    """How many counters may wait in a process for their message; more are dropped."""
    return int(_number("ROLLUPS_TRIGGER_WAITING_COUNTERS", 100_000))


def trigger_pause_seconds() -> float:
    """How long a process leaves the broker alone after a failure."""
    return _number("ROLLUPS_TRIGGER_PAUSE_SECONDS", 1)


def trigger_timeout_seconds() -> float:
    """How long one step of publishing may take (connect, write, answer)."""
    return _number("ROLLUPS_TRIGGER_TIMEOUT_SECONDS", 0.1)


def trigger_exit_seconds() -> float:
    """How long a process that ends goes on publishing what waits."""
    return _number("ROLLUPS_TRIGGER_EXIT_SECONDS", 1)


def queue_name() -> str:
    """The queue of the rollup task."""
    return _text("ROLLUPS_QUEUE", "rollups")


def queue_messages() -> int:
    """How many messages may wait in the queue; the oldest beyond that are dropped."""
    return int(_number("ROLLUPS_QUEUE_MESSAGES", 10_000))


def fold_rest_seconds() -> float:
    """A counter is folded at most once in this time, however often it is triggered."""
    return _number("ROLLUPS_FOLD_REST_SECONDS", 0.025)


def fold_events() -> int:
    """How many events one fold takes at most when folding lags behind."""
    return int(_number("ROLLUPS_FOLD_EVENTS", 500_000))


def fold_in_parts_after_seconds() -> float:
    """Beyond this lag a counter may have more events than one fold can take."""
    return _number("ROLLUPS_FOLD_IN_PARTS_AFTER_SECONDS", 10)


def task_seconds() -> float:
    """How long one rollup task goes on; what is left then goes back into the queue."""
    return _number("ROLLUPS_TASK_SECONDS", 2)


def sweep_period_seconds() -> float:
    """How often beat looks for pending counters."""
    return _number("ROLLUPS_SWEEP_PERIOD_SECONDS", 5)


def sweep_grace_seconds() -> float:
    """A counter that has been pending for less is left to its own trigger."""
    return _number("ROLLUPS_SWEEP_GRACE_SECONDS", 1)


def sweep_counters() -> int:
    """How many counters one sweep enqueues at most; the rest waits for the next."""
    return int(_number("ROLLUPS_SWEEP_COUNTERS", 50_000))


def metrics_dir() -> Path | None:
    """Where the processes of this machine leave their numbers; None: each has its own."""
    found = getattr(settings, "ROLLUPS_METRICS_DIR", None) or os.environ.get(
        "PROMETHEUS_MULTIPROC_DIR"
    )
    return Path(found) if found else None


def metrics_port() -> int:
    """Return the port where a worker serves its machine's metrics; 0 is none."""
    return int(_number("ROLLUPS_METRICS_PORT", 0))


def refuse_bad_settings() -> None:
    """Raise ImproperlyConfigured for a setting out of its range, at every process's start."""
    mode = getattr(settings, "ROLLUPS_TRIGGER", "background")
    if mode not in ("background", "inline", "off"):
        raise ImproperlyConfigured(
            f"ROLLUPS_TRIGGER={mode!r} is unknown. Use 'background' (a thread publishes),"
            " 'inline' (the writer itself), or 'off'."
        )
    queue = getattr(settings, "ROLLUPS_QUEUE", "rollups")
    # Celery's -Q and -X take names separated by commas.
    if not isinstance(queue, str) or not queue or "," in queue:
        raise ImproperlyConfigured(
            f"ROLLUPS_QUEUE={queue!r} is not the name of a queue. Use text without a comma."
        )
    for setting in RANGES:
        refuse_beyond(*setting)


def _number(name: str, default: float) -> float:
    return float(getattr(settings, name, default))


def _text(name: str, default: str) -> str:
    return str(getattr(settings, name, default))


# Setting, its reader, the least and the greatest value allowed.
RANGES: tuple[tuple[str, Callable[[], float], float, float], ...] = (
    ("ROLLUPS_TRIGGER_GATHER_SECONDS", trigger_gather_seconds, 0.001, 1),
    ("ROLLUPS_TRIGGER_TIMEOUT_SECONDS", trigger_timeout_seconds, 0.005, 5),
    ("ROLLUPS_TRIGGER_PAUSE_SECONDS", trigger_pause_seconds, 0.1, 60),
    ("ROLLUPS_TRIGGER_EXIT_SECONDS", trigger_exit_seconds, 0, 30),
    ("ROLLUPS_TRIGGER_WAITING_COUNTERS", trigger_waiting_counters, 500, 10_000_000),
    ("ROLLUPS_QUEUE_MESSAGES", queue_messages, 100, 10_000_000),
    ("ROLLUPS_FOLD_REST_SECONDS", fold_rest_seconds, 0, 10),
    ("ROLLUPS_FOLD_EVENTS", fold_events, 1, 100_000_000),
    ("ROLLUPS_FOLD_IN_PARTS_AFTER_SECONDS", fold_in_parts_after_seconds, 0, 3600),
    ("ROLLUPS_TASK_SECONDS", task_seconds, 0.1, 60),
    ("ROLLUPS_SWEEP_PERIOD_SECONDS", sweep_period_seconds, 0.1, 3600),
    ("ROLLUPS_SWEEP_GRACE_SECONDS", sweep_grace_seconds, 0, 3600),
    ("ROLLUPS_SWEEP_COUNTERS", sweep_counters, 1, 10_000_000),
    ("ROLLUPS_METRICS_PORT", metrics_port, 0, 65_535),
)
