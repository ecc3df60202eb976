"""Rows of another cluster in a database whose anchor names this one, and the way back.

A dump of the data alone, or logical replication, brings such rows. tests/faults/test_restore.py
has a real dump.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection, transaction

from counters import events
from counters.errors import NotAnchored
from counters.models import LastWrite, Namespace
from rollups import counts
from rollups.folding import audit, cluster_identity, sweep
from rollups.folding.fold import fold
from rollups.models import Anchor, Rollup
from rollups.monitor import heartbeat
from rollups.reading import clear

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "_anchored_in_the_end"),
]


@pytest.fixture
def _anchored_in_the_end() -> object:
    yield
    cluster_identity._take_anchor()


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def burn_ids(number: int) -> None:
    for _ in range(number):
        run("SELECT pg_current_xact_id()")


@pytest.fixture
def hits(committed_namespace: Namespace) -> int:
    """A counter with 5 folded, and another cluster's watermark that is a little ahead."""
    counter_id = events.add(namespace="test", name="hits", delta=5).counter_id
    fold([counter_id])
    run(
        "UPDATE rollups_rollup SET cluster = cluster + 1, watermark = format('%s:%s:',"
        " pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 20,"
        " pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 20)::pg_snapshot"
    )
    events.add(namespace="test", name="hits", delta=100)
    return counter_id


@pytest.mark.parametrize("burnt", [0, 40], ids=["ahead", "passed"])
@pytest.mark.parametrize(
    "use",
    [
        lambda counter_id: fold([counter_id]),
        lambda counter_id: audit.repair([counter_id]),
        lambda counter_id: audit.audit_some([counter_id]),
        lambda _: clear.clear(namespace="test", name="hits"),
        lambda _: counts.get(namespace="test", name="hits", accuracy="accurate"),
    ],
    ids=["fold", "repair", "audit", "clear", "accurate read"],
)
def test_foreign_watermark__is_refused_by_everything_from_then_on(
    hits: int, use: Callable[[int], object], burnt: int
) -> None:
    """After the ids have passed it, only its cluster distinguishes it from our watermarks."""
    burn_ids(burnt)

    with pytest.raises(NotAnchored):
        use(hits)

    assert not cluster_identity.is_anchored()
    assert sweep.sweep() is None
    assert counts.get(namespace="test", name="hits", accuracy="eventual").pending

    cluster_identity.reanchor()
    events.add(namespace="test", name="hits", delta=1000)
    fold([hits])
    assert Rollup.objects.get().total == 1105
    assert all(one.is_right for batch in audit.audit() for one in batch)


def test_foreign_watermark__without_a_name_is_refused_while_it_is_ahead(
    hits: int,
) -> None:
    """It was folded by an older version of this code."""
    run("UPDATE rollups_rollup SET cluster = NULL")

    with pytest.raises(NotAnchored):
        fold([hits])


def test_foreign_last_write__of_a_counter_that_was_never_folded_is_refused(
    committed_namespace: Namespace,
) -> None:
    """Its events would be folded now, and again when this cluster comes to their ids."""
    counter_id = events.add(namespace="test", name="new", delta=5).counter_id
    run("UPDATE counters_event SET xid = (xid::text::bigint + 1000)::text::xid8")
    run("UPDATE counters_lastwrite SET xid = (xid::text::bigint + 1000)::text::xid8")

    with pytest.raises(NotAnchored):
        fold([counter_id])
    assert not cluster_identity.is_anchored()

    cluster_identity.reanchor()
    burn_ids(1100)
    events.add(namespace="test", name="new", delta=100)
    fold([counter_id])
    assert Rollup.objects.get().total == 105


def notice_by_the_sweep() -> None:
    assert sweep.sweep() is None


def notice_by_a_fold() -> None:
    with pytest.raises(NotAnchored):
        fold([LastWrite.objects.get().counter_id])


def notice_by_the_heartbeat_of_a_web_server() -> None:
    reporter = heartbeat.Reporter("web")
    reporter._ending.set()
    reporter._run()


@pytest.mark.parametrize(
    "notice",
    [notice_by_the_sweep, notice_by_a_fold, notice_by_the_heartbeat_of_a_web_server],
)
def test_way_back__into_the_first_cluster_is_refused_too(
    committed_namespace: Namespace, notice: Callable[[], None]
) -> None:
    events.add(namespace="test", name="hits")
    # As restored from another cluster.
    run("UPDATE rollups_anchor SET system_identifier = system_identifier + 1")
    first_cluster = Anchor.objects.get().system_identifier

    notice()

    # Whatever cluster a dump goes to now: it is not the one that the anchor names.
    assert Anchor.objects.get().system_identifier == cluster_identity.NO_CLUSTER
    assert first_cluster != cluster_identity.NO_CLUSTER
    cluster_identity.reanchor()
    assert cluster_identity.is_anchored()


def test_notice__that_comes_late_leaves_a_new_anchor_alone(
    committed_namespace: Namespace,
) -> None:
    before = str(Anchor.objects.get().anchored_at)
    cluster_identity.reanchor()

    cluster_identity._drop_anchor(before)

    assert cluster_identity.is_anchored()


def test_notice__within_a_callers_block_leaves_the_block_alone(hits: int) -> None:
    with pytest.raises(NotAnchored), transaction.atomic():
        counts.get(namespace="test", name="hits", accuracy="accurate")

    assert cluster_identity.is_anchored()
