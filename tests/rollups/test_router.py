"""A project's router may send reads to a replica; reads that decide something stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import router

from counters import events
from counters.models import Namespace
from counters.namespaces import access, deletion, lookup
from rollups import counts
from rollups.folding import audit, cluster_identity, retention, sweep
from rollups.folding.fold import fold
from rollups.reading import clear, listing, series
from rollups.reading.many import CounterName, get_many


class ReadsFromAReplica:
    """This project has no replica, so a read that is sent there fails."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"


@pytest.mark.django_db(transaction=True)
def test_router__does_not_send_our_reads_away(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = User.objects.create_user("somebody")
    monkeypatch.setattr(router, "routers", [ReadsFromAReplica()])

    recorded = events.add(namespace="test", name="hits", delta=5)
    assert recorded.counter_id is not None
    sweep.sweep()
    sweep.sweep()
    fold([recorded.counter_id])
    found = lookup.get_now("test")
    assert counts.get(namespace="test", name="hits").count == 5
    assert get_many([CounterName("test", "hits")])[0].count == 5
    for ordering in listing.ORDERINGS:
        [one] = listing.list_counters(namespace=found.name, ordering=ordering).readings
        assert one.count == 5
    assert series.series(namespace=found.name, name="hits").buckets[-1].delta == 5
    assert not access.rights_in(user, found).read
    assert not access.visible_to(user).exists()
    assert clear.clear(namespace="test", name="hits").count_before == 5
    assert audit.audit_some([recorded.counter_id])[0].is_right
    assert cluster_identity.reanchor().counters == 1
    retention.close_due(now=datetime.now(UTC) + timedelta(days=90), dry_run=True)
    retention.drop_closed()
    events.add(namespace="test", name="other")
    deletion.delete_counter(namespace="test", name="hits", confirm="hits")
    assert deletion.delete_namespace("test", confirm="test").counters == 1
