"""From an add to its rollup, through a real broker and a real worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from counters.models import LastWrite, Namespace
from rollups.models import Rollup, Sweep
from tests import programs

pytestmark = pytest.mark.django_db(transaction=True)
COUNTERS, ADDS = 7, 70


@pytest.fixture(autouse=True)
def _empty_queue(broker_url: str) -> None:
    programs.purge(broker_url)


def all_counted(times: int) -> bool:
    totals = Rollup.objects.values_list("total", flat=True)
    return [int(total) for total in totals] == [times * ADDS // COUNTERS] * COUNTERS


def healed() -> int:
    return sum(Sweep.objects.values_list("healed", flat=True))


def test_trigger__brings_every_add_into_its_rollup(
    committed_namespace: Namespace, broker_url: str, tmp_path: Path
) -> None:
    with programs.worker(broker_url, tmp_path / "worker.log"):
        programs.add_in_another_process(broker_url, COUNTERS, ADDS)

        programs.wait_until(lambda: all_counted(1), "the triggers were not folded")
        programs.wait_until(lambda: not LastWrite.objects.exists(), "last writes stay")

    assert not Sweep.objects.exists()
    assert "Traceback" not in (tmp_path / "worker.log").read_text()


def test_sweep__alone_brings_every_add_into_its_rollup(
    committed_namespace: Namespace, broker_url: str, tmp_path: Path
) -> None:
    """Every trigger goes to a port where nobody listens."""
    nobody = "redis://127.0.0.1:1/0"
    often = {
        "ROLLUPS_SWEEP_PERIOD_SECONDS": "0.3",
        "ROLLUPS_SWEEP_GRACE_SECONDS": "0.1",
    }
    programs.add_in_another_process(nobody, COUNTERS, ADDS)
    assert not Rollup.objects.exists()

    with (
        programs.worker(broker_url, tmp_path / "worker.log"),
        programs.beat(broker_url, tmp_path / "beat.log", **often),
    ):
        programs.wait_until(lambda: all_counted(1), "the sweep did not heal")
        programs.wait_until(lambda: not LastWrite.objects.exists(), "last writes stay")
        # The worker counts them after its fold, and may not be ended before.
        programs.wait_until(lambda: healed() >= COUNTERS, "the healed are not counted")
