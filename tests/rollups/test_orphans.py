"""What an add leaves of a counter that was deleted meanwhile: removed, and in nobody's way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from counters import events
from counters.models import Counter, Event, LastWrite
from counters.namespaces import deletion
from rollups import counts
from rollups.folding import drain as draining
from rollups.folding import sweep
from rollups.folding.drain import drain
from rollups.monitor import status

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("committed_namespace", "triggers"),
]


def leave_orphans(*names: str) -> None:
    """Add to counters and take nothing but the counters away."""
    events.add_many(events.NewEvent("test", name) for name in names)
    LastWrite.objects.update(pending_since=datetime.now(UTC) - timedelta(hours=1))
    Counter.objects.filter(name__in=names).delete()


def test_drain__folds_what_waits_behind_orphans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They have waited longest, so without being removed they would fill every batch."""
    monkeypatch.setattr(draining, "BATCH_COUNTERS", 2)
    leave_orphans("a", "b", "c")
    events.add(namespace="test", name="hits", delta=5)

    assert sum(one.events for one in drain()) == 1
    assert counts.get(namespace="test", name="hits").count == 5
    assert not LastWrite.objects.exists()
    assert Event.objects.count() == 1


def test_drain__ends_where_nothing_but_orphans_waits() -> None:
    leave_orphans("a")

    assert [one.counters for one in drain()] == [0]
    assert list(drain()) == []


def test_sweep__removes_orphans_that_are_overdue() -> None:
    leave_orphans("a", "b")
    events.add(namespace="test", name="hits")
    assert status.measure().pending == 3

    sweep.sweep()

    assert status.measure().pending == 1
    assert Event.objects.count() == 1


def test_remove_orphans_among__leaves_what_is_no_orphan() -> None:
    events.add(namespace="test", name="hits")
    ids = list(Counter.objects.values_list("pk", flat=True))

    assert deletion.remove_orphans_among(ids) == 0
    assert Event.objects.count() == LastWrite.objects.count() == 1


def test_remove_orphans__goes_on_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "BATCH_COUNTERS", 2)
    leave_orphans("a", "b", "c", "d", "e")

    assert deletion.remove_orphans() == 5
    assert not Event.objects.exists()
