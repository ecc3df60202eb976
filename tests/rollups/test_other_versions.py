"""Old and new workers side by side: a message of another version loses no count."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import Task, current_app

from counters import events
from counters.models import LastWrite, Namespace
from rollups.models import Rollup, Sweep
from rollups.trigger import broker as publishing
from rollups.trigger.broker import Broker
from rollups.worker.tasks import rollup
from tests import programs

pytestmark = pytest.mark.django_db(transaction=True)


class Newer(Task):  # type: ignore[type-arg]
    name = "of_a_newer_version"


def total_of(counter_id: int) -> int:
    found = Rollup.objects.filter(counter_id=counter_id).first()
    return int(found.total) if found else 0


@pytest.mark.usefixtures("triggers")
def test_worker__takes_messages_of_other_versions(
    committed_namespace: Namespace,
    broker_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No sweep: each counter's own message gets it folded."""
    programs.purge(broker_url)
    old, new, last = (
        events.add(namespace="test", name=name, delta=3).counter_id
        for name in ("old", "new", "last")
    )
    broker = Broker(broker_url)
    with monkeypatch.context() as patch:
        # Its task is not registered in this version.
        patch.setattr(publishing, "TASK", "of_a_newer_version")
        patch.setitem(current_app.tasks, "of_a_newer_version", Newer())
        broker.publish([old, new, last])
    broker.publish([old])
    broker.publish([new], of_a_newer_version=[1])
    broker.publish([last], sweep_id=None)
    broker.close()

    log = tmp_path / "worker.log"
    with programs.worker(broker_url, log):
        programs.wait_until(
            # Last writes go in a transaction of their own after the fold's.
            lambda: (
                [total_of(one) for one in (old, new, last)] == [3, 3, 3]
                and not LastWrite.objects.exists()
            ),
            f"a message was not understood: {log}",
        )

    assert not Sweep.objects.exists()
    assert "unexpected keyword argument" not in log.read_text()


@pytest.mark.usefixtures("triggers")
def test_task__ignores_what_a_newer_version_says_beside_the_counters(
    committed_namespace: Namespace,
) -> None:
    counter_id = events.add(namespace="test", name="hits", delta=3).counter_id

    rollup([counter_id], reenqueued=False, of_a_newer_version="x")

    assert total_of(counter_id) == 3
