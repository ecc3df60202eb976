from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from counters import events as recording
from counters.models import Namespace
from counters.recording import tokens
from rollups import counts
from rollups.folding import bisect, fold
from rollups.models import Bucket, Closing, Failure, Rollup, Sweep

pytestmark = pytest.mark.usefixtures("triggers")
LIST = "/admin/counters/counter/"
Add = Callable[..., int]


@pytest.fixture
def add(committed_namespace: Namespace) -> Add:
    def record(name: str = "hits", delta: int = 1, *, is_folded: bool = False) -> int:
        counter_id = recording.add(namespace="test", name=name, delta=delta).counter_id
        if is_folded:
            fold.fold([counter_id])
        return counter_id

    return record


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def count() -> int:
    return counts.get(namespace="test", name="hits", accuracy="eventual").count


def test_page__shows_the_buckets_that_have_data(admin: Client, add: Add) -> None:
    """A count of last year has no bucket among the last sixty days."""
    counter_id = add("old", 7, is_folded=True)
    Bucket.objects.filter(counter_id=counter_id).update(
        bucket_at=datetime(2013, 5, 1, tzinfo=UTC)
    )

    page = text(admin, f"{LIST}{counter_id}/change/?per=day")

    assert "2013-05-01 UTC" in page
    assert "<td>2013-05-01 00:00</td>" in page


def test_list__shows_count_and_state(admin: Client, add: Add) -> None:
    add("folded", 1234, is_folded=True)
    add("waits", 5)

    page = text(admin, LIST)

    assert "1,234" in page
    assert "pending, lag 0." in page
    assert 'aria-label="+1,234 in 24 hours"' in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=wai", {"waits"}),
        ("q=wai%25", set()),
        ("q=%00", {"folded", "waits"}),
        ("state=pending", {"waits"}),
        ("state=quarantined", {"waits"}),
        ("namespace=ID", {"folded", "waits"}),
        ("namespace=ID&q=fol", {"folded"}),
        ("namespace=ID&order=count", {"folded"}),
        ("namespace=ID&order=written", {"folded"}),
        ("namespace=ID&state=pending", {"waits"}),
        ("namespace=999999", set()),
        ("namespace=x", set()),
        ("namespace=%C2%B2", set()),
        ("namespace=99999999999999999999&state=pending", set()),
    ],
)
def test_list__finds(
    admin: Client, add: Add, committed_namespace: Namespace, query: str, found: set[str]
) -> None:
    add("folded", is_folded=True)
    apart = add("waits")
    now = "2026-01-01T00:00:00Z"
    Failure.objects.create(
        counter_id=apart,
        error="x",
        attempts=1,
        failed_since=now,
        failed_at=now,
        next_try_at=now,
    )

    page = text(admin, f"{LIST}?{query.replace('ID', str(committed_namespace.pk))}")

    assert {name for name in ("folded", "waits") if f">{name}</a>" in page} == found


def test_list__asks_the_same_of_one_counter_and_of_many(
    admin: Client, add: Add, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        add(f"c{number}", is_folded=True)

    with django_assert_max_num_queries(11):
        text(admin, LIST)


def test_page__says_why_a_counter_lags(admin: Client, add: Add) -> None:
    counter_id = add()

    page = text(admin, f"{LIST}{counter_id}/change/?audit=1&per=hour")

    assert "No worker has reported" in page
    assert "no difference" in page
    assert "Latest events" in page


def test_list__of_one_namespace_leaves_its_name_out_of_the_rows(
    admin: Client, add: Add, committed_namespace: Namespace
) -> None:
    add()

    assert "field-namespace_name" in text(admin, LIST)
    page = text(admin, f"{LIST}?namespace={committed_namespace.pk}")
    assert "field-namespace_name" not in page


def test_list__links_to_the_operations_page(
    admin: Client, namespace: Namespace
) -> None:
    """Also in a project that has an index page of its own."""
    assert '<a href="/ops">Operations</a>' in text(admin, LIST)


def test_page__recounts_on_request(admin: Client, add: Add) -> None:
    counter_id = add(delta=7, is_folded=True)
    page = f"{LIST}{counter_id}/change/"

    assert "no difference" in text(admin, f"{page}?audit=1")
    Rollup.objects.update(total=8)
    assert "they differ" in text(admin, f"{page}?audit=1")
    assert "Recounted" not in text(admin, page)


@pytest.mark.parametrize("key", ["999999", "x", "1_2F", "99999999999999999999999"])
def test_page__of_nothing_is_404(admin: Client, namespace: Namespace, key: str) -> None:
    assert admin.get(f"{LIST}{key}/change/").status_code == 404


def test_roll_up__asks_folds_and_is_logged(admin: Client, add: Add) -> None:
    counter_id = add(delta=3)
    page = f"{LIST}{counter_id}/roll-up/"

    assert "Roll up hits now?" in text(admin, page)
    assert count() == 0
    assert admin.post(page, {"confirmed": "yes"}).status_code == 302

    assert count() == 3
    logged = LogEntry.objects.get()
    assert (logged.object_id, logged.object_repr, logged.change_message) == (
        str(counter_id),
        "test/hits",
        "Rolled up: 1 event.",
    )


def test_roll_up__of_those_ticked_asks_first(admin: Client, add: Add) -> None:
    chosen: dict[str, Any] = {
        "action": "roll_up",
        "_selected_action": [add("hits", 3), add("other", 4)],
    }

    assert "Roll up 2 counters now?" in admin.post(LIST, chosen).content.decode()
    assert count() == 0
    admin.post(LIST, chosen | {"confirmed": "yes"})

    assert count() == 3
    assert LogEntry.objects.count() == 2


def test_actions__never_take_everything(admin: Client, add: Add) -> None:
    """Django's "select all" would hand over a list that may have a million counters."""
    chosen = {
        "action": "roll_up",
        "_selected_action": [add("hits", 3)],
        "select_across": "1",
        "confirmed": "yes",
    }
    add("other", 4)

    admin.post(LIST, chosen)

    assert LogEntry.objects.count() == 1
    assert Rollup.objects.get().total == 3


def test_roll_up__tries_a_counter_now_that_was_quarantined(
    admin: Client, add: Add
) -> None:
    counter_id = add(delta=3)
    bisect.quarantine(counter_id, ValueError("out of luck"))

    admin.post(f"{LIST}{counter_id}/roll-up/", {"confirmed": "yes"})

    assert count() == 3
    assert not Failure.objects.exists()


def test_verify__of_those_ticked(admin: Client, add: Add) -> None:
    chosen: dict[str, Any] = {
        "action": "verify",
        "_selected_action": [add(is_folded=True), add("waits")],
    }

    right = admin.post(LIST, chosen, follow=True).content.decode()
    Rollup.objects.update(total=8)
    wrong = admin.post(LIST, chosen, follow=True).content.decode()

    assert "Recounted 2 counters: no difference." in right
    assert "hits is wrong. Sum in the rollup: 8, of the events: 1" in wrong


def test_verify__that_takes_too_long_says_so(admin: Client, add: Add) -> None:
    counter_id = add(is_folded=True)
    chosen: dict[str, Any] = {"action": "verify", "_selected_action": [counter_id]}

    def slow(execute: Any, query: Any, *rest: Any) -> Any:
        """As if it had many events: only the recount has no time at all."""
        if "audited" in str(query):
            execute("SET LOCAL statement_timeout = 1", None, *rest[1:])
            return execute("SELECT pg_sleep(1)", None, *rest[1:])
        return execute(query, *rest)

    with connection.execute_wrapper(slow):
        listed = admin.post(LIST, chosen, follow=True).content.decode()
        page = text(admin, f"{LIST}{counter_id}/change/?audit=1")

    assert "manage.py counters verify, which has no time limit" in listed
    assert "manage.py counters verify, which has no time limit" in page


def test_clear__needs_the_name_and_clears_once(admin: Client, add: Add) -> None:
    counter_id = add(delta=9, is_folded=True)
    page = f"{LIST}{counter_id}/clear/"
    asked = admin.get(page)
    kept = dict(asked.context["kept"])

    refused = admin.post(page, kept | {"typed": "Hits"}).content.decode()
    assert "This is not the counter" in refused
    assert count() == 9
    for _ in range(2):
        assert admin.post(page, kept | {"typed": "hits"}).status_code == 302

    assert count() == 0
    assert [one.change_message for one in LogEntry.objects.all()] == [
        "Cleared: the count was 9."
    ]


def test_clear__is_asked_under_a_token_of_the_databases_time(
    is_now: Callable[[datetime], bool], admin: Client, add: Add
) -> None:
    """A token of another time may lie outside the accept window."""
    page = f"{LIST}{add()}/clear/"

    token = dict(admin.get(page).context["kept"])["token"]

    event_time = tokens.parse(token).event_time
    assert event_time is not None
    assert is_now(event_time)


def test_name__is_found_and_confirmed_however_it_is_typed(
    admin: Client, add: Add
) -> None:
    counter_id = add("caf\u00e9")
    typed = "cafe\u0301"

    assert ">caf\u00e9</a>" in text(admin, f"{LIST}?q={quote(typed)}")
    page = f"{LIST}{counter_id}/clear/"
    kept = dict(admin.get(page).context["kept"])
    assert admin.post(page, kept | {"typed": typed}).status_code == 302


@pytest.mark.parametrize("what", ["roll-up", "clear"])
def test_change__needs_the_right(add: Add, what: str) -> None:
    counter_id = add()
    staff = User.objects.create_user("staff", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_counter"))
    client = Client()
    client.force_login(staff)

    page = text(client, f"{LIST}{counter_id}/change/")

    assert "Roll up now" not in page
    assert "Roll up now" not in text(client, LIST)
    answer = client.post(f"{LIST}{counter_id}/{what}/", {"typed": "hits"})
    assert answer.status_code == 403


@pytest.mark.parametrize("model", ["sweep", "closing", "failure"])
def test_history__is_a_list_to_look_at(admin: Client, model: str) -> None:
    now = "2026-01-01T00:00:00Z"
    Sweep.objects.create(swept_at=now, pending=3)
    Failure.objects.create(
        counter_id=1,
        error="x",
        attempts=1,
        failed_since=now,
        failed_at=now,
        next_try_at=now,
    )
    Closing.objects.create(
        since=now, until="2026-01-02T00:00:00Z", counters=1, events=1, total=1
    )

    page = text(admin, f"/admin/rollups/{model}/")

    assert "1 " in page
    assert admin.get(f"/admin/rollups/{model}/add/").status_code == 403
