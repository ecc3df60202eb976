"""`manage.py counters status`: what it says and how it exits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from pytest_django import Settings

from counters import events
from counters.models import Namespace
from rollups.folding import bisect
from rollups.folding.sweep import sweep
from rollups.management.commands.counters import Command
from rollups.monitor import status
from rollups.monitor.status import Level, Limits, Status, judge, measure

LIMITS = Limits(
    warn_lag_seconds=10, critical_lag_seconds=60, warn_healed=100, sweep_age_seconds=15
)
FINE: dict[str, Any] = {
    "pending": 0,
    "lag_seconds": 0.0,
    "last_sweep_age_seconds": 1.0,
    "healed_lately": 0,
    "quarantined": 0,
    "is_anchored": True,
}
Asking = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Asking:
    def ask(*words: str) -> tuple[int, str]:
        code = 0
        try:
            call_command("counters", "status", *words)
        except SystemExit as end:
            code = int(end.code or 0)
        return code, capsys.readouterr().out

    return ask


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        ({}, Level.OK),
        ({"lag_seconds": 9.99, "pending": 5}, Level.OK),
        ({"lag_seconds": 10.0}, Level.WARNING),
        ({"lag_seconds": 59.99}, Level.WARNING),
        ({"lag_seconds": 60.0}, Level.CRITICAL),
        ({"last_sweep_age_seconds": 14.9}, Level.OK),
        ({"last_sweep_age_seconds": 15.0}, Level.WARNING),
        ({"last_sweep_age_seconds": None}, Level.WARNING),
        ({"idle_workers": 2}, Level.WARNING),
        ({"idle_workers": 2, "folding": 1}, Level.OK),
        ({"healed_lately": 99}, Level.OK),
        ({"healed_lately": 100}, Level.WARNING),
        ({"quarantined": 1}, Level.WARNING),
        ({"quarantined": 1, "lag_seconds": 99.0}, Level.CRITICAL),
        ({"is_anchored": False}, Level.CRITICAL),
    ],
)
def test_judge__takes_the_worst(changed: dict[str, Any], level: Level) -> None:
    verdicts = judge(Status(**FINE | changed), LIMITS)

    assert max(verdict.level for verdict in verdicts) == level


@pytest.mark.parametrize(
    ("mode", "runs"), [("background", "beat"), ("off", "`counters rollup --watch`")]
)
def test_judge__asks_for_what_should_record_sweeps(
    settings: Settings, mode: str, runs: str
) -> None:
    settings.ROLLUPS_TRIGGER = mode

    verdicts = judge(Status(**FINE | {"last_sweep_age_seconds": None}), LIMITS)

    [sweep] = [one for one in verdicts if one.level == Level.WARNING]
    assert sweep.says.endswith(f"is {runs} running?")


def test_limits__by_default_tolerate_what_the_sweep_alone_keeps() -> None:
    limits = status.default_limits()

    assert (limits.warn_lag_seconds, limits.critical_lag_seconds) == (10, 60)


def test_status__of_a_service_that_is_well(
    committed_namespace: Namespace, ask: Asking
) -> None:
    sweep()

    code, said = ask()

    assert code == 0
    assert said.startswith("OK - 0 counters pending")


def test_status__warns_of_a_counter_that_cannot_be_folded(
    committed_namespace: Namespace, ask: Asking
) -> None:
    sweep()
    bisect.quarantine(5, ValueError("broken"))

    code, said = ask()

    assert code == 1
    assert said == "WARNING - 1 counter cannot be folded, see rollups_failure\n"


def test_status__is_critical_beyond_the_given_lag(
    committed_namespace: Namespace, triggers: list[list[int]], ask: Asking
) -> None:
    events.add(namespace="test", name="hits")

    code, said = ask("--warn-lag", "0.000001", "--critical-lag", "0.000002", "--json")

    told = json.loads(said)
    assert code == 2
    assert told["level"] == told["verdicts"]["lag"]["level"] == "CRITICAL"
    assert told["pending"] == 1


def test_status__is_critical_where_the_database_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, ask: Asking
) -> None:
    def fail() -> Status:
        raise OperationalError("gone")

    monkeypatch.setattr("rollups.commands.folding.measure", fail)

    assert ask() == (2, "CRITICAL - The database cannot serve this now: gone\n")


def test_status__is_unknown_after_wrong_usage() -> None:
    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(
            ["manage.py", "counters", "status", "--warn-lag", "soon"]
        )

    assert ended.value.code == 3


def test_measure__finds_pending_counters_and_sweeps(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    before = measure()
    events.add(namespace="test", name="hits")
    sweep()
    after = measure()

    assert (before.pending, before.last_sweep_age_seconds) == (0, None)
    assert after.pending == 1
    assert after.lag_seconds > 0
    assert after.last_sweep_age_seconds is not None
