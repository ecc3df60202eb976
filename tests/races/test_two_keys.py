"""The same token twice at once, while a second unique index stands beside the events' key.

So it is while a past day's key is rebuilt concurrently. ON CONFLICT asks one of the two. A use that asked before the other one's entry
was there, and comes to the second index after it, is an error there and not a repeat.

The index that waits brings a use to that place, and holds it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from counters import events
from counters.events import NewEvent
from counters.models import Event, Namespace
from counters.partitions import create
from counters.recording.duplicates import Recorded
from tests.conftest import Threads
from tests.races.waiting import wait_until_somebody_waits_for_a_lock

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "committed_namespace"),
]

Use = Callable[[], Recorded]
NOW = datetime.now(UTC)
TOKEN = str(uuid4())
GATE = 411
USES: dict[str, Use] = {
    "one": lambda: events.add(
        namespace="test", name="hits", token=TOKEN, generation_time=NOW
    ),
    "batch": lambda: events.add_many(
        [
            NewEvent("test", "hits"),
            NewEvent("test", "hits", token=TOKEN, generation_time=NOW),
        ]
    )[1],
}


@pytest.fixture
def _two_keys(committed_namespace: Namespace) -> Iterator[None]:
    [name] = [each.name for each in create.existing() if each.since <= NOW < each.until]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION test_wait_at_gate(uuid) RETURNS uuid IMMUTABLE LANGUAGE plpgsql"
            " AS $$ BEGIN"
            "  IF current_setting('test.waits', true) = $1::text THEN"
            f"   PERFORM pg_advisory_xact_lock_shared({GATE});"
            "  END IF;"
            "  RETURN $1;"
            " END $$"
        )
        cursor.execute(f"CREATE INDEX test_gate ON {name} (test_wait_at_gate(token))")
        # Indexes get their entries in the order of their making: the gate, the key, and
        # the one beside it.
        cursor.execute(
            f"REINDEX INDEX CONCURRENTLY {name}_token_counter_id_event_time_idx"
        )
        cursor.execute(
            f"CREATE UNIQUE INDEX test_beside ON {name} (token, counter_id, event_time)"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX test_gate, test_beside")
        cursor.execute("DROP FUNCTION test_wait_at_gate")


@pytest.fixture
def first_use_meanwhile(_two_keys: None, threads: Threads) -> Callable[[Use], Recorded]:
    """Run a use, let another session's be first once it has asked the key; return its answer."""

    def waiting(use: Use) -> Recorded:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('test.waits', %s, false)", [TOKEN])
        return use()

    def run(use: Use) -> Recorded:
        # The counter is there, so that neither use makes it.
        events.add(namespace="test", name="hits")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [GATE])
            try:
                late = threads.submit(waiting, use)
                wait_until_somebody_waits_for_a_lock(kind="advisory")
                first = USES["one"]()
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [GATE])
        assert not first.duplicate

        answer: Recorded = late.result()
        return answer

    return run


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_add__is_a_repeat_though_only_the_second_index_knows(
    first_use_meanwhile: Callable[[Use], Recorded], use: Use
) -> None:
    answer = first_use_meanwhile(use)

    assert answer.duplicate
    assert answer.event_time == NOW
    assert Event.objects.filter(event_time=NOW).count() == 1


def test_add__within_a_transaction_block_is_the_callers_to_repeat(
    first_use_meanwhile: Callable[[Use], Recorded],
) -> None:
    def use() -> Recorded:
        with transaction.atomic():
            return USES["one"]()

    with pytest.raises(IntegrityError, match="test_beside"):
        first_use_meanwhile(use)

    assert use().duplicate
