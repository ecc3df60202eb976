"""Beat's clock, stepped; real beats are in tests/faults/test_workers_and_beats.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from celery import current_app
from celery.beat import ScheduleEntry

from rollups.worker.beat import SteadyScheduler

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("step_seconds", [-3600, -1, 0, 3600])
def test_beat__goes_on_when_the_clock_is_stepped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_seconds: float
) -> None:
    sent: list[str] = []

    def send(_: SteadyScheduler, entry: ScheduleEntry, **__: object) -> None:
        sent.append(str(entry.task))

    monkeypatch.setattr(SteadyScheduler, "apply_async", send)
    period = current_app.conf.beat_schedule["rollups-sweep"]["schedule"]
    with time_machine.travel(NOON, tick=False) as clock:
        scheduler = SteadyScheduler(
            current_app, schedule_filename=str(tmp_path / "schedule"), lazy=False
        )
        clock.shift(period)
        scheduler.tick()
        assert sent == ["rollups.sweep"]

        clock.shift(timedelta(seconds=step_seconds))
        for _ in range(2):
            clock.shift(period)
            scheduler.tick()
            scheduler.tick()
        scheduler.close()

    assert sent.count("rollups.sweep") >= 2
