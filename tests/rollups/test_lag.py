"""A counter's lag is the same whoever says it, also after a clock was set back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection

from counters import events
from counters.db.statements import affect, fetch
from counters.models import Namespace
from rollups.folding.fold import fold
from rollups.models import Sample
from rollups.monitor import status

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]

MINUTE = timedelta(minutes=1)


@pytest.fixture
def pending(committed_namespace: Namespace) -> Callable[..., int]:
    """Make a counter that is pending since then, and was folded then (from now)."""

    def make(*, since: timedelta, folded: timedelta, name: str = "hits") -> int:
        added = events.add(namespace="test", name=name)
        assert added.counter_id is not None
        fold([added.counter_id])
        events.add(namespace="test", name=name)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE counters_lastwrite SET pending_since = now() + make_interval(secs => %s)"
                " WHERE counter_id = %s",
                [since.total_seconds(), added.counter_id],
            )
            cursor.execute(
                "UPDATE rollups_rollup SET watermark_at = now() + make_interval(secs => %s)"
                " WHERE counter_id = %s",
                [folded.total_seconds(), added.counter_id],
            )
        return added.counter_id

    return make


def sampled() -> timedelta:
    affect(connection, "rollups", "take_sample", gap=MINUTE, keep=MINUTE)
    return timedelta(seconds=Sample.objects.get().lag_max_seconds)


SAYS: dict[str, Callable[[int], timedelta]] = {
    "measure_lag": lambda _: fetch(connection, "rollups", "measure_lag")[0][1],
    "measure_lag_spread": lambda _: timedelta(
        seconds=fetch(connection, "rollups", "measure_lag_spread")[0][3]
    ),
    "measure_status": lambda _: timedelta(seconds=status.measure().lag_seconds),
    "measure_counter_lags": lambda counter_id: fetch(
        connection, "rollups", "measure_counter_lags", counter_ids=[counter_id]
    )[0][1],
    "select_pending": lambda _: fetch(
        connection, "rollups", "select_pending", grace=timedelta(0), most=10
    )[0][1],
    "take_sample": lambda _: sampled(),
}


@pytest.mark.parametrize("says", SAYS.values(), ids=SAYS)
@pytest.mark.parametrize(
    ("since", "folded", "lag"),
    [
        pytest.param(-10 * MINUTE, -60 * MINUTE, 10 * MINUTE, id="written-later"),
        pytest.param(-10 * MINUTE, -5 * MINUTE, 5 * MINUTE, id="folded-later"),
        # From before the clock was set back: it says nothing.
        pytest.param(-10 * MINUTE, 60 * MINUTE, 10 * MINUTE, id="folded-in-the-future"),
        # It says how far the clock was set back.
        pytest.param(
            10 * MINUTE, -60 * MINUTE, 10 * MINUTE, id="written-in-the-future"
        ),
    ],
)
def test_lag__is_the_same_whoever_says_it(
    pending: Callable[..., int],
    says: Callable[[int], timedelta],
    since: timedelta,
    folded: timedelta,
    lag: timedelta,
) -> None:
    counter_id = pending(since=since, folded=folded)

    assert abs(says(counter_id) - lag) < MINUTE


def test_find_pending__puts_first_what_has_waited_longest(
    pending: Callable[..., int],
) -> None:
    shortest = pending(since=-5 * MINUTE, folded=-60 * MINUTE, name="shortest")
    longest = pending(since=-20 * MINUTE, folded=60 * MINUTE, name="longest")
    between = pending(since=10 * MINUTE, folded=-60 * MINUTE, name="between")

    found = fetch(
        connection, "rollups", "find_pending", namespace_id=None, prefix="", most=10
    )

    assert found == [(longest,), (between,), (shortest,)]
