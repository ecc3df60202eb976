"""A setting out of its range stops every process at its start, with an error."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

import counters.conf
import rollups
from counters.conf import Seconds, Setting, Whole, refuse_bad_settings
from counters_project import env
from rollups import conf
from rollups.apps import RollupsConfig
from tests.programs import ROOT, TIMEOUT_SECONDS

ROWS = {row.name: row for row in (*counters.conf.SETTINGS, *conf.SETTINGS)}
BAD: dict[str, list[Any]] = {
    "ROLLUPS_TRIGGER": ["sometimes", "", None],
    "ROLLUPS_QUEUE": ["", "a,b", None, 5],
    "ROLLUPS_METRICS_DIR": [5, None],
}
TEXTS = [
    ("ROLLUPS_TRIGGER", "'background' (a thread of each process publishes), 'inline'"),
    ("ROLLUPS_QUEUE", "the name of a queue: text without a comma."),
    ("ROLLUPS_TRIGGER_TIMEOUT_SECONDS", "a number of seconds from 0.005 to 5."),
    ("ROLLUPS_SWEEP_COUNTERS", "a whole number from 1 to 10,000,000."),
]


def bad_values(row: Setting[Any]) -> list[Any]:
    if not isinstance(row, (Whole, Seconds)):
        return BAD[row.name]
    step = 1 if isinstance(row, Whole) else 0.001
    fractions = [row.least + 0.5] if isinstance(row, Whole) else []
    return [
        *(row.least - step, row.most + step, *fractions),
        *(float("nan"), float("inf"), None, True, "soon", ""),
    ]


# How each kind of process starts.
PROCESSES = {
    "web": "import counters_project.wsgi",
    "worker": "from counters_project import celery_app as app;"
    " app.loader.import_default_modules()",
    "command": "from manage import main; main(['manage.py', 'counters', 'list-namespaces'])",
}


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


def refuse() -> None:
    refuse_bad_settings(ROWS.values())


def test_settings__are_fine_as_they_are() -> None:
    refuse()


def test_settings__are_few() -> None:
    """A setting exists because an operator needs it."""
    assert len(ROWS) <= 20


@pytest.mark.parametrize(
    ("name", "value"),
    [(row.name, bad) for row in ROWS.values() for bad in bad_values(row)],
)
def test_setting__that_makes_no_sense_is_refused(
    settings: Settings, name: str, value: object
) -> None:
    setattr(settings, name, value)

    with pytest.raises(ImproperlyConfigured) as refused:
        refuse()

    assert str(refused.value) == f"{name}={value!r} is not {ROWS[name].wanted}."


@pytest.mark.parametrize("value", ["/proc/nope", "/proc", "/dev/null", "a\0b"])
@pytest.mark.parametrize("name", ["ROLLUPS_METRICS_DIR", "PROMETHEUS_MULTIPROC_DIR"])
def test_metrics_directory__that_cannot_be_used_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    settings.ROLLUPS_METRICS_DIR = ""
    if name == "ROLLUPS_METRICS_DIR":
        settings.ROLLUPS_METRICS_DIR = value
    else:
        monkeypatch.setattr(os, "environ", dict(os.environ) | {name: value})

    with pytest.raises(ImproperlyConfigured) as refused:
        RollupsConfig("rollups", rollups)

    assert str(refused.value).startswith(f"{name}={value!r} cannot be used: ")
    assert "to a directory in which this user may create files" in str(refused.value)


@pytest.mark.parametrize("value", BAD["ROLLUPS_METRICS_DIR"])
def test_metrics_directory__is_not_made_of_a_bad_setting(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    value: object,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    settings.ROLLUPS_METRICS_DIR = value

    with pytest.raises(ImproperlyConfigured, match=r"^ROLLUPS_METRICS_DIR="):
        RollupsConfig("rollups", rollups)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "wanted"), TEXTS)
def test_setting__that_is_refused_says_what_is_wanted(name: str, wanted: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=re.escape(f"is not {wanted}")):
        ROWS[name].check(None)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_environment__is_read_by_the_same_rows(
    row: Setting[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = row.variable or row.name
    good: list[Any] = ["inline"]
    if isinstance(row, (Whole, Seconds)):
        good = [row.least, row.most]

    for value in good:
        monkeypatch.setenv(variable, str(value))
        assert env.setting(row) == value
    monkeypatch.setenv(variable, "")
    assert env.setting(row) == row.default
    for value in bad_values(row):
        # All text is a path, and the empty one is unset.
        if value != "" and row.name != "ROLLUPS_METRICS_DIR" and isinstance(value, str):
            monkeypatch.setenv(variable, value)
            with pytest.raises(ImproperlyConfigured, match=f"^{variable}="):
                env.setting(row)


@pytest.mark.parametrize("process", PROCESSES)
def test_process__does_not_start_with_a_setting_that_makes_no_sense(
    process: str,
) -> None:
    started = start(PROCESSES[process], ROLLUPS_SWEEP_COUNTERS="0")

    assert started.returncode != 0
    last = started.stderr.strip().splitlines()[-1]
    assert last.endswith(
        "ROLLUPS_SWEEP_COUNTERS='0' is not a whole number from 1 to 10,000,000."
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("COUNTERS_API_RATE_PER_MINUTE", "API_RATE_PER_MINUTE"),
        ("ROLLUPS_METRICS_PORT", "METRICS_PORT"),
        ("STATEMENT_TIMEOUT_SECOND", "STATEMENT_TIMEOUT_SECONDS"),
        # Kubernetes sets these for a service `counters`.
        ("COUNTERS_SERVICE_HOST", None),
        ("COUNTERS_PORT", None),
        ("COUNTERS_PORT_8000_TCP_ADDR", None),
    ],
)
def test_process__warns_of_a_variable_with_a_wrong_name(
    given: str, meant: str | None
) -> None:
    started = start(PROCESSES["command"], **{given: "5"})

    said = f"The environment variable {given} has no effect. Is {meant} meant?"
    assert (said in started.stderr) is (meant is not None)
    assert ("has no effect" in started.stderr) is (meant is not None)
