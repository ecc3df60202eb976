from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from counters import events
from counters.models import Grant, Namespace

pytestmark = pytest.mark.usefixtures("triggers")


ADD = "/admin/counters/namespace/add/"


def filled_in(**changed: str) -> dict[str, str]:
    """Return the form of a new namespace."""
    return {
        "name": "shop",
        "description": "",
        "counter_type": "eventual",
        "accept_past": "1 00:00:00",
        "accept_future": "00:05:00",
        "retention": "30 00:00:00",
        "bucket_size": "minute",
        "grants-TOTAL_FORMS": "0",
        "grants-INITIAL_FORMS": "0",
        **changed,
    }


def test_admin__creates_a_namespace_with_a_grant(admin: Client) -> None:
    user = User.objects.create_user("reader")
    grant_of_one = {
        "grants-TOTAL_FORMS": "1",
        "grants-0-user": str(user.pk),
        "grants-0-can_read": "on",
    }
    response = admin.post(ADD, filled_in(**grant_of_one, confirmed="yes"))

    assert response.status_code == 302, response.content.decode()
    grant = Grant.objects.get()
    assert (grant.namespace.name, grant.user, grant.can_read) == ("shop", user, True)
    assert not grant.can_write


def test_admin__names_a_retention_that_is_too_short(admin: Client) -> None:
    response = admin.post(
        ADD, filled_in(accept_past="2 00:00:00", retention="1 00:00:00")
    )

    assert "for at least the accept window" in response.content.decode()
    assert not Namespace.objects.exists()


@pytest.mark.parametrize("path", ["namespace/", "counter/", "counter/?q=hi"])
def test_admin__lists(admin: Client, namespace: Namespace, path: str) -> None:
    events.add(namespace="test", name="hits")

    response = admin.get(f"/admin/counters/{path}")

    assert response.status_code == 200
    assert ("hits" in response.content.decode()) == path.startswith("counter")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("36 h", 129_600), ("2 days", 172_800), ("2 00:00:00", 172_800)],
)
def test_admin__takes_spans_as_people_write_them(
    admin: Client, written: str, seconds: int
) -> None:
    admin.post(
        "/admin/counters/namespace/add/",
        {
            "name": "shop",
            "counter_type": "eventual",
            "accept_past": written,
            "accept_future": "5 min",
            "retention": "30 days",
            "bucket_size": "minute",
            "grants-TOTAL_FORMS": "0",
            "grants-INITIAL_FORMS": "0",
            "confirmed": "yes",
        },
    )

    assert Namespace.objects.get().accept_past.total_seconds() == seconds


def test_admin__names_a_duration_that_is_too_long(admin: Client) -> None:
    page = admin.post(ADD, filled_in(retention="99999999d")).content.decode()

    assert "`99999999d` is too long. A duration is at most 36600 days." in page


def test_admin__counts_the_counters_of_a_namespace(
    admin: Client, namespace: Namespace
) -> None:
    events.add(namespace="test", name="a")
    events.add(namespace="test", name="b")

    page = admin.get("/admin/counters/namespace/").content.decode()

    assert f'?namespace={namespace.pk}">2</a>' in page


def test_admin__keeps_name_and_kind_of_a_namespace(
    admin: Client, namespace: Namespace
) -> None:
    page = admin.get(
        f"/admin/counters/namespace/{namespace.pk}/change/"
    ).content.decode()

    assert 'name="name"' not in page
    assert "best-effort" not in page


def test_namespace__with_a_window_beyond_all_years_is_refused(
    namespace: Namespace,
) -> None:
    """Every add to it would fail: there is no such year."""
    for field in ("accept_past", "accept_future", "retention"):
        wrong = Namespace(name="wide")
        setattr(wrong, field, timedelta(days=999_999))

        with pytest.raises(ValidationError) as refused:
            wrong.full_clean()

        assert field in refused.value.message_dict


def test_admin__does_not_warn_of_a_new_namespace(admin: Client) -> None:
    """It has no events that a retention below the default could drop."""
    response = admin.post(ADD, filled_in(retention="7 00:00:00"))

    asked = response.content.decode()
    assert "Add this namespace?" in asked
    assert "cannot be restored" not in asked
