"""The settings of the read side, one row each: see counters.conf."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from counters.conf import Choice, Seconds, Setting, Text, Whole

TriggerMode = Literal["background", "inline", "off"]

_trigger = Choice(
    name="ROLLUPS_TRIGGER",
    default="background",
    choices={
        "background": "a thread of each process publishes",
        "inline": "the writer publishes",
        "off": "nobody publishes",
    },
    meaning="who publishes triggers; set `off` if you run `manage.py counters rollup --watch`"
    " without a broker",
)
trigger_timeout_seconds = Seconds(
    name="ROLLUPS_TRIGGER_TIMEOUT_SECONDS",
    default=0.1,
    least=0.005,
    most=5,
    meaning="time limit for one step of publishing a trigger: connect, write, answer",
)
trigger_pause_seconds = Seconds(
    name="ROLLUPS_TRIGGER_PAUSE_SECONDS",
    default=1,
    least=0.1,
    most=60,
    meaning="time for which the circuit to the broker stays open after a failure",
)
trigger_waiting_counters = Whole(
    name="ROLLUPS_TRIGGER_WAITING_COUNTERS",
    default=100_000,
    least=500,
    most=10_000_000,
    meaning="most counters whose triggers may wait in a process, about 0.1 kB each; further"
    " triggers are dropped",
)
trigger_exit_seconds = Seconds(
    name="ROLLUPS_TRIGGER_EXIT_SECONDS",
    default=1,
    least=0,
    most=30,
    meaning="time limit for publishing the waiting triggers when a process ends",
)
queue_name = Text(
    name="ROLLUPS_QUEUE",
    default="rollups",
    # Celery's -Q and -X take names separated by commas.
    pattern="[^,]+",
    description="the name of a queue: text without a comma",
    meaning="the queue of the rollup messages",
)
sweep_period_seconds = Seconds(
    name="ROLLUPS_SWEEP_PERIOD_SECONDS",
    default=5,
    least=0.1,
    most=3600,
    meaning="time between two sweeps for pending counters; bounds staleness if triggers are"
    " lost",
)
sweep_grace_seconds = Seconds(
    name="ROLLUPS_SWEEP_GRACE_SECONDS",
    default=1,
    least=0,
    most=3600,
    meaning="the sweep leaves out counters that have been pending for less than this time",
)
sweep_counters = Whole(
    name="ROLLUPS_SWEEP_COUNTERS",
    default=50_000,
    least=1,
    most=10_000_000,
    meaning="most counters that one sweep enqueues; the next sweep enqueues the others",
)
_PROMETHEUS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_metrics_directory = Text(
    name="ROLLUPS_METRICS_DIR",
    variable="METRICS_DIR",
    default="",
    pattern=".*",
    description="a path",
    meaning="directory where the processes of this machine write their metrics. The"
    " service's default is `DATA_DIR/metrics`; a project's is `PROMETHEUS_MULTIPROC_DIR`",
)
metrics_port = Whole(
    name="ROLLUPS_METRICS_PORT",
    variable="METRICS_PORT",
    default=0,
    least=0,
    most=65_535,
    meaning="port where a worker serves the metrics of its machine's processes to"
    " Prometheus; 0 opens no port",
)

SETTINGS: tuple[Setting[Any], ...] = (
    _trigger,
    trigger_timeout_seconds,
    trigger_pause_seconds,
    trigger_waiting_counters,
    trigger_exit_seconds,
    queue_name,
    sweep_period_seconds,
    sweep_grace_seconds,
    sweep_counters,
    _metrics_directory,
    metrics_port,
)


@cache
def trigger_mode() -> TriggerMode:
    """Return who publishes triggers: a background thread, the writer, or nobody.

    The result is cached. Every add needs it, and reading two settings would take longer than the
    publisher's work.
    """
    # Eager tasks are for tests without a broker; an add must not fold in them.
    if getattr(settings, "CELERY_TASK_ALWAYS_EAGER", False):
        return "off"
    match _trigger():
        case "inline":
            return "inline"
        case "off":
            return "off"
        case _:
            return "background"


@receiver(setting_changed)
def _forget_the_mode(**_: Any) -> None:
    """Ask the settings again where a test has changed them."""
    trigger_mode.cache_clear()


def metrics_dir() -> Path | None:
    """Return the directory of this machine's metrics, or None if each process has its own."""
    found = _metrics_directory() or os.environ.get(_PROMETHEUS_VARIABLE)
    return Path(found) if found else None


def make_metrics_dir() -> Path | None:
    """Create the directory of this machine's metrics, if there is one to be.

    Raises ImproperlyConfigured if this process cannot create it, or no file in it.
    """
    directory = metrics_dir()
    if directory is None:
        return None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Permissions do not tell everything, for example about /proc.
        with TemporaryFile(dir=directory):
            pass
    # A NUL in the path is a ValueError.
    except (OSError, ValueError) as error:
        name, hint = _PROMETHEUS_VARIABLE, ""
        if _metrics_directory():
            name = _metrics_directory.name
            hint = f" (in the service's environment: {_metrics_directory.variable})"
        raise ImproperlyConfigured(
            f"{name}={str(directory)!r} cannot be used:"
            f" {getattr(error, 'strerror', None) or error}. Set it{hint} to a directory in"
            " which this user may create files."
        ) from error
    return directory
