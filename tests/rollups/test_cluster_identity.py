"""After a restore into another cluster: refused, written on, recounted.

A real dump and restore is in tests/faults/test_restore.py; here the anchor and the ids are
changed by hand, so that each case can be seen by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction

from counters import events
from counters.db.statements import fetch
from counters.errors import NotAnchored
from counters.models import Event, LastWrite, Namespace
from counters.namespaces import deletion
from rollups import counts
from rollups.folding import audit, cluster_identity, sweep
from rollups.folding.drain import drain
from rollups.folding.fold import fold
from rollups.models import Bucket, Failure, Rollup
from rollups.monitor import status
from rollups.reading import clear, listing, series
from rollups.reading.many import CounterName, get_many
from rollups.worker import tasks
from tests.conftest import Threads
from tests.races.waiting import TIMEOUT_SECONDS, wait_until_somebody_waits_for_a_lock

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "restored"),
]


# What the database holds, as a cluster would have written it that is a billion ids ahead.
AHEAD = (
    "UPDATE counters_event SET xid = (xid::text::bigint + 1000000000)::text::xid8",
    "UPDATE counters_lastwrite SET xid = (xid::text::bigint + 1000000000)::text::xid8",
    "UPDATE rollups_rollup SET watermark = format('%s:%s:',"
    " pg_snapshot_xmin(watermark)::text::bigint + 1000000000,"
    " pg_snapshot_xmax(watermark)::text::bigint + 1000000000)::pg_snapshot",
)


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def restored(committed_namespace: Namespace) -> Iterator[None]:
    """5 folded and 7 pending, from a cluster whose ids are far ahead of this one's."""
    events.add(namespace="test", name="hits", delta=5)
    fold([LastWrite.objects.get().counter_id])
    events.add(namespace="test", name="hits", delta=7)
    events.add(namespace="test", name="new", delta=3)
    for statement in AHEAD:
        run(statement)
    run("UPDATE rollups_anchor SET system_identifier = system_identifier + 1")
    # By another connection in the new cluster: no slot of the dump's is taken over.
    run("UPDATE counters_lastwrite SET slot = -slot")
    yield
    cluster_identity._take_anchor()


def add(name: str, delta: int) -> int:
    return events.add(namespace="test", name=name, delta=delta).counter_id


def test_restored__refuses_what_would_be_wrong_and_writes_on() -> None:
    counter_id = add("hits", 100)

    with pytest.raises(NotAnchored, match=r"manage\.py counters reanchor"):
        fold([counter_id])
    with pytest.raises(NotAnchored):
        counts.get(namespace="test", name="hits", accuracy="accurate")
    with pytest.raises(NotAnchored):
        clear.clear(namespace="test", name="hits")
    with pytest.raises(NotAnchored):
        list(audit.audit())
    with pytest.raises(NotAnchored):
        audit.repair([counter_id])
    with pytest.raises(NotAnchored):
        list(drain())
    assert sweep.sweep() is None

    eventual = counts.get(namespace="test", name="hits", accuracy="eventual")
    assert (eventual.count, eventual.pending) == (5, True)
    assert Event.objects.count() == 4


def test_restored__a_worker_blames_no_counter_for_it() -> None:
    counter_id = add("hits", 100)

    tasks.rollup([counter_id])

    assert not Failure.objects.exists()


def test_restored__an_add_that_is_to_answer_the_count_is_refused_unwritten(
    admin_client: object,
) -> None:
    before = Event.objects.count()

    answer = admin_client.post(  # type: ignore[attr-defined]
        "/api/v1/namespaces/test/counters/hits/add?get=accurate",
        {"delta": 1},
        content_type="application/json",
    )

    assert (answer.status_code, answer.json()["code"]) == (503, "not-anchored")
    assert Event.objects.count() == before


def test_reanchor__counts_what_was_folded_what_was_pending_and_what_came_since() -> (
    None
):
    add("hits", 100)
    add("later", 1)

    done = cluster_identity.reanchor(batch_counters=1)

    assert (done.counters, done.events) == (3, 5)
    assert _counts("accurate") == {"hits": 112, "new": 3, "later": 1}
    assert _fold_all() == {"hits": 112, "new": 3, "later": 1}
    assert not LastWrite.objects.exists()
    assert all(one.is_right for batch in audit.audit() for one in batch)


def test_reanchor__what_comes_after_it_counts_once() -> None:
    cluster_identity.reanchor()

    add("hits", 1000)

    assert _counts("accurate")["hits"] == 1012
    assert _fold_all() == {"hits": 1012, "new": 3}
    add("hits", 10000)
    assert _fold_all() == {"hits": 11012, "new": 3}


def test_reanchor__no_event_comes_back_when_the_cluster_reaches_its_old_id() -> None:
    """Left as they were, events of id 1,000,000,700 would be folded again one day."""
    cluster_identity.reanchor()

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM counters_event"
            " WHERE NOT pg_visible_in_snapshot(xid, pg_current_snapshot())"
        )
        assert cursor.fetchone() == (0,)
    # A fold looks from its watermark's xmax on: there must be nothing of the dump's.
    assert fold(list(Rollup.objects.values_list("pk", flat=True))).events == 0


def test_reanchor__broken_off_and_started_again_changes_nothing() -> None:
    class Stopped(Exception):
        pass

    def stop(_: object) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        cluster_identity.reanchor(batch_counters=1, progress=stop)
    assert not cluster_identity.is_anchored()
    add("hits", 100)

    cluster_identity.reanchor(batch_counters=1)

    assert _counts("accurate") == {"hits": 112, "new": 3}
    cluster_identity.reanchor()
    assert _fold_all() == {"hits": 112, "new": 3}


def test_reanchor__leaves_a_last_write_that_a_writer_has_taken_over() -> None:
    """The slot of a row from the dump: a connection here may have the same number."""
    run("UPDATE counters_lastwrite SET slot = pg_backend_pid() WHERE slot < 0")
    cluster_identity.reanchor()
    add("hits", 100)

    assert LastWrite.objects.count() == 1
    assert _fold_all()["hits"] == 112


def test_reanchor__leaves_a_last_write_that_changes_under_its_hands(
    threads: Threads,
) -> None:
    """The writer has the row when the recount comes to it, and commits an event with it."""
    writer = connection.copy()
    try:
        writer.set_autocommit(False)
        with writer.cursor() as cursor:
            cursor.execute(
                "UPDATE counters_lastwrite"
                " SET xid = pg_current_xact_id(), newest_event_time = now() WHERE counter_id"
                " IN (SELECT id FROM counters_counter WHERE name = 'new')"
            )
            cursor.execute(
                "INSERT INTO counters_event (counter_id, token, event_time, delta)"
                " SELECT id, gen_random_uuid(), now(), 1000 FROM counters_counter"
                " WHERE name = 'new'"
            )
            recount = threads.submit(cluster_identity.reanchor)
            wait_until_somebody_waits_for_a_lock()
        writer.commit()
        writer.set_autocommit(True)
        recount.result(30)
    finally:
        writer.close()

    assert LastWrite.objects.count() == 1
    assert _fold_all()["new"] == 1003


def test_reanchor__waits_for_a_fold_that_holds_a_rollup(threads: Threads) -> None:
    """Where the anchor is right (`--anyway`), folds go on.

    Without the lock its snapshot would be older than the fold, and it would set the rollup
    back behind a bucket that it does not see.
    """
    cluster_identity.reanchor()
    counter_id = add("hits", 100)
    with transaction.atomic():
        fetch(connection, "rollups", "lock_rollups", counter_ids=[counter_id])
        recount = threads.submit(cluster_identity.reanchor)
        wait_until_somebody_waits_for_a_lock()
        threads.submit(
            events.add,
            namespace="test",
            name="hits",
            delta=1000,
            generation_time=datetime.now(UTC) - timedelta(hours=2),
            token="t",
        ).result(TIMEOUT_SECONDS)
        fetch(connection, "rollups", "fold_events", counter_ids=[counter_id])
    recount.result(TIMEOUT_SECONDS)

    assert _fold_all() == {"hits": 1112, "new": 3}
    assert all(one.is_right for batch in audit.audit() for one in batch)


def test_reanchor__drops_a_bucket_without_events() -> None:
    Bucket.objects.update(bucket_at=datetime(2001, 1, 1, tzinfo=UTC))

    cluster_identity.reanchor()

    assert all(one.is_right for batch in audit.audit() for one in batch)


def test_reanchor__leaves_out_a_counter_that_is_being_deleted(threads: Threads) -> None:
    with transaction.atomic():
        deletion.delete_counter(namespace="test", name="new", confirm="new")
        threads.submit(cluster_identity.reanchor).result(TIMEOUT_SECONDS)

    assert not Rollup.objects.filter(counter__name="new").exists()
    assert _fold_all() == {"hits": 12}


def test_reanchor__is_refused_where_nothing_calls_for_it() -> None:
    call_command("counters", "reanchor")

    with pytest.raises(CommandError, match="nothing to do"):
        call_command("counters", "reanchor")
    call_command("counters", "reanchor", "--anyway")

    assert _counts("accurate") == {"hits": 12, "new": 3}


def _counts(accuracy: str) -> dict[str, int]:
    names = Rollup.objects.values_list("counter__name", flat=True)
    found = {*names, *_written_names()}
    return {
        name: counts.get(namespace="test", name=name, accuracy=accuracy).count
        for name in found
    }


def _written_names() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM counters_counter")
        return {name for (name,) in cursor.fetchall()}


def _fold_all() -> dict[str, int]:
    for _ in drain():
        pass
    return _counts("eventual")


def test_restore__what_is_new_waits_wherever_it_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The watermark of the other cluster seems to cover it: its ids are far ahead."""
    LastWrite.objects.all().delete()
    events.add(namespace="test", name="hits")

    call_command("counters", "export", "totals", "--format", "ndjson")
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    said = {line["name"]: line["pending"] for line in lines}

    assert said == {"hits": True, "new": False}
    busiest = fetch(connection, "rollups", "list_busiest", most=1, namespace_id=None)

    assert status.measure().pending == 1
    assert [row[5] for row in busiest] == [True]
    for ordering in listing.ORDERINGS:
        page = listing.list_counters(namespace="test", ordering=ordering)
        assert {one.pending for one in page.readings if one.name == "hits"} == {True}
    [many] = get_many([CounterName("test", "hits")])
    assert many.pending
    assert series.total(namespace="test", name="hits").pending
