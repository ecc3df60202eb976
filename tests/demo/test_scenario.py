"""The demo's scenario on a small file, folded in place of a worker."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from counters.events import add
from counters_project.demo import scenario
from rollups.folding.fold import fold
from rollups.trigger.publisher import Publisher
from tests.client.conftest import ApplicationTransport, make_client

FLIGHTS = """\
carrier,origin,dest,time_hour
UA,EWR,IAH,2013-01-01T10:00:00Z
UA,LGA,IAH,2013-01-01T10:00:00Z
AA,JFK,MIA,2013-12-31T10:00:00Z
"""
COUNTERS = 2 + 3 + 3


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    file = tmp_path / "flights.csv.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("flights.csv", FLIGHTS)
    return file


@pytest.fixture
def play_demo(
    flights: Path, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], tuple[int, list[str]]]:
    """Plays the scenario; returns its exit code and what it printed."""

    def fold_at_once(_: Publisher, counter_ids: Collection[int], **__: object) -> int:
        fold(counter_ids)
        return len(counter_ids)

    monkeypatch.setattr(Publisher, "put", fold_at_once)
    monkeypatch.setattr(scenario, "FOLDED_WITHIN_SECONDS", 5)

    client = make_client(ApplicationTransport())

    def play_once() -> tuple[int, list[str]]:
        printed = io.StringIO()
        console = Console(file=printed, width=200)
        code = scenario.play(
            flights,
            "flights",
            console,
            client=client,
            url="http://x",
            started=time.monotonic(),
        )
        return code, printed.getvalue().splitlines()

    return play_once


def test_play__every_counter_is_exact(
    play_demo: Callable[[], tuple[int, list[str]]],
) -> None:
    code, lines = play_demo()

    assert code == 0
    assert lines[-1] == f"exact: {COUNTERS} of {COUNTERS} counters"
    assert any(line.startswith("3 departures: 9 events added, 0 dup") for line in lines)


def test_play__again_changes_no_count(
    play_demo: Callable[[], tuple[int, list[str]]],
) -> None:
    play_demo()

    code, lines = play_demo()

    assert code == 0
    assert any(line.startswith("3 departures: 0 events added, 9 dup") for line in lines)
    assert "All events were duplicates, so no count has changed" in lines


@pytest.mark.parametrize("name", ["carrier/UA", "carrier/unheard-of"])
def test_play__wrong_count_is_named(
    play_demo: Callable[[], tuple[int, list[str]]], name: str
) -> None:
    play_demo()
    add(namespace="flights", name=name)

    code, lines = play_demo()

    assert code == 1
    assert any(line.startswith(f"{name}: ") for line in lines)
    assert lines[-1].startswith(f"exact: {7 if name == 'carrier/UA' else 8} of ")


def test_play__says_when_nothing_folds(
    flights: Path,
    transactional_db: None,
    triggers: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(scenario, "FOLDED_WITHIN_SECONDS", 0)
    console = Console(file=printed, width=200)

    client = make_client(ApplicationTransport())

    code = scenario.play(
        flights, "flights", console, client=client, url="http://x", started=0
    )

    assert code == 1
    assert f"{COUNTERS} counters are still pending" in printed.getvalue()
