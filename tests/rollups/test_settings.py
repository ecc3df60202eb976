"""A setting out of its range stops every process at its start, with an error."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

import counters.conf
from rollups import conf
from tests.programs import ROOT, TIMEOUT_SECONDS

BAD: list[tuple[str, Any, str]] = [
    ("ROLLUPS_TRIGGER", "sometimes", "is unknown"),
    ("ROLLUPS_QUEUE", "", "is not the name of a queue"),
    ("ROLLUPS_QUEUE", "a,b", "is not the name of a queue"),
    ("ROLLUPS_TRIGGER_TIMEOUT_SECONDS", 0, "is not a number from 0.005 to 5"),
    ("ROLLUPS_TRIGGER_TIMEOUT_SECONDS", 5.1, "is not a number from 0.005 to 5"),
    ("ROLLUPS_TRIGGER_TIMEOUT_SECONDS", "soon", "is not a number"),
    ("ROLLUPS_TRIGGER_WAITING_COUNTERS", 499, "a whole number from 500 to 10,000,000"),
    ("ROLLUPS_SWEEP_PERIOD_SECONDS", float("nan"), "is not a number"),
    ("ROLLUPS_QUEUE_MESSAGES", None, "is not a whole number"),
    ("ROLLUPS_QUEUE_MESSAGES", float("inf"), "is not a whole number"),
    ("ROLLUPS_SWEEP_COUNTERS", 1.5, "is not a whole number"),
    ("ROLLUPS_SWEEP_COUNTERS", True, "is not a whole number"),
    ("ROLLUPS_METRICS_PORT", 65_536, "from 0 to 65,535"),
    ("COUNTERS_PARTITION_DAYS_AHEAD", 0, "from 1 to 365"),
    ("COUNTERS_API_RATE_PER_MINUTE", -1, "is not a whole number"),
]
# How each kind of process starts.
PROCESSES = {
    "web": "import counters_project.wsgi",
    "worker": "from counters_project import celery_app as app;"
    " app.loader.import_default_modules()",
    "command": "from manage import main; main(['manage.py', 'counters', 'list-namespaces'])",
}


def refuse() -> None:
    counters.conf.refuse_bad_settings()
    conf.refuse_bad_settings()


def start(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ
        | {"DJANGO_SETTINGS_MODULE": "counters_project.settings"}
        | variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def test_settings__are_fine_as_they_are() -> None:
    refuse()


@pytest.mark.parametrize(("name", "value", "said"), BAD)
def test_setting__that_makes_no_sense_is_refused(
    settings: Settings, name: str, value: object, said: str
) -> None:
    setattr(settings, name, value)

    with pytest.raises(ImproperlyConfigured) as refused:
        refuse()

    assert str(refused.value).startswith(f"{name}={value!r} is ")
    assert said in str(refused.value)


@pytest.mark.parametrize("bound", [2, 3], ids=["least", "most"])
def test_environment__may_say_whatever_the_settings_take(bound: int) -> None:
    """Each variable is read by its type and checked by the one table of ranges."""
    names = {"ROLLUPS_METRICS_PORT": "METRICS_PORT"}
    wanted = {setting[0]: setting[bound] for setting in conf.RANGES}
    given = {names.get(name, name): f"{value}" for name, value in wanted.items()}
    program = (
        "import django; django.setup()\n"
        "from django.conf import settings\n"
        f"for name, value in {wanted!r}.items():\n"
        "    assert getattr(settings, name) == value, name\n"
    )

    started = start(program, **given)

    assert started.returncode == 0, started.stderr


@pytest.mark.parametrize("process", PROCESSES)
def test_process__does_not_start_with_a_setting_that_makes_no_sense(
    process: str,
) -> None:
    started = start(PROCESSES[process], ROLLUPS_QUEUE_MESSAGES="0")

    assert started.returncode != 0
    last = started.stderr.strip().splitlines()[-1]
    assert last.endswith(
        "ROLLUPS_QUEUE_MESSAGES=0 is not a whole number from 100 to 10,000,000."
    )
