"""Forms that change data ask first, and are written to the admin's log once confirmed."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from counters.models import Grant, Namespace

pytestmark = pytest.mark.django_db
FILLED_IN = {
    "description": "",
    "counter_type": "eventual",
    "accept_past": "24 h",
    "accept_future": "5 min",
    "retention": "30 days",
    "bucket_size": "minute",
    "grants-TOTAL_FORMS": "0",
    "grants-INITIAL_FORMS": "0",
}
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


def change(namespace: Namespace) -> str:
    return f"/admin/counters/namespace/{namespace.pk}/change/"


def fields(page: str) -> dict[str, str]:
    """Return what the question's form would send."""
    return {
        name: html.unescape(value)
        for name, value in HIDDEN.findall(page)
        if name != "csrfmiddlewaretoken"
    }


def test_change__is_asked_done_once_confirmed_and_logged(
    admin: Client, namespace: Namespace
) -> None:
    wanted = FILLED_IN | {"retention": "90 days", "bucket_size": "hour"}

    asked = admin.post(change(namespace), wanted)
    page = asked.content.decode()
    namespace.refresh_from_db()

    assert asked.status_code == 200
    assert "Change test?" in page
    assert "Keeps events for: 30 days → 90 days" in page
    assert "Keeps series: per minute → per hour" in page
    assert "ask-danger" not in page
    assert namespace.retention == timedelta(days=30)
    assert not LogEntry.objects.exists()

    done = admin.post(change(namespace), fields(page))
    namespace.refresh_from_db()

    assert done.status_code == 302
    assert namespace.retention == timedelta(days=90)
    assert namespace.bucket_size == "hour"
    assert "Keeps events for" in LogEntry.objects.get().get_change_message()


def test_change__warns_of_a_shorter_retention(
    admin: Client, namespace: Namespace
) -> None:
    page = admin.post(change(namespace), FILLED_IN | {"retention": "7 days"})

    assert "Events older than 7 days will be dropped" in page.content.decode()
    assert "ask-danger" in page.content.decode()


def test_change__of_nothing_needs_no_question(
    admin: Client, namespace: Namespace
) -> None:
    assert admin.post(change(namespace), FILLED_IN).status_code == 302


def test_change__of_a_grant_within_a_namespace_is_asked(
    admin: Client, namespace: Namespace
) -> None:
    alice = User.objects.create_user("alice")
    wanted: dict[str, Any] = FILLED_IN | {
        "grants-TOTAL_FORMS": "1",
        "grants-0-user": str(alice.pk),
        "grants-0-can_read": "on",
        "grants-0-namespace": str(namespace.pk),
    }

    page = admin.post(change(namespace), wanted).content.decode()

    assert "Added: alice: read in test" in page
    assert not Grant.objects.exists()
    admin.post(change(namespace), fields(page))
    assert str(Grant.objects.get()) == "alice: read in test"


def test_grant__is_added_and_changed_after_a_question(
    admin: Client, namespace: Namespace
) -> None:
    alice = User.objects.create_user("alice")
    path = "/admin/counters/grant/"
    wanted = {"namespace": str(namespace.pk), "user": str(alice.pk)}

    added = admin.post(f"{path}add/", wanted | {"can_read": "on"}).content.decode()
    admin.post(f"{path}add/", fields(added))
    grant = Grant.objects.get()
    changed = admin.post(
        f"{path}{grant.pk}/change/", wanted | {"can_write": "on"}
    ).content.decode()

    assert "Namespace: test" in added
    assert "User: alice" in added
    assert "Can read: yes → no" in changed
    assert "Can write: no → yes" in changed
    grant.refresh_from_db()
    assert (grant.can_read, grant.can_write) == (True, False)


def test_add__that_is_wrong_says_so_and_asks_nothing(admin: Client) -> None:
    page = admin.post("/admin/counters/namespace/add/", FILLED_IN | {"name": "a b"})

    assert "Please correct the error below" in page.content.decode()
    assert not Namespace.objects.exists()
