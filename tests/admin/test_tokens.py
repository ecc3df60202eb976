from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from knox.models import AuthToken

ADD = "/admin/knox/authtoken/add/"


def test_token__is_shown_once_and_logged_by_its_beginning(admin: Client) -> None:
    User.objects.create_user("reader")

    shown = admin.post(ADD, {"user": "reader", "expires": "30"})

    [token] = re.findall(r'id="token" class="secret">([^<]+)<', shown.content.decode())
    assert "no-store" in shown.headers["Cache-Control"]
    kept = AuthToken.objects.get()
    assert token.startswith(kept.token_key)
    assert token not in admin.get("/admin/knox/authtoken/").content.decode()
    logged = LogEntry.objects.get()
    assert logged.object_repr == f"{kept.token_key}… of reader"


def test_token__is_revoked_after_a_question(admin: Client, boss: User) -> None:
    kept, _ = AuthToken.objects.create(user=boss)
    page = f"/admin/knox/authtoken/{kept.digest}/revoke/"

    asked = admin.get(page)

    assert "Revoke the token" in asked.content.decode()
    assert AuthToken.objects.exists()
    assert admin.post(page, {"confirmed": "yes"}).status_code == 302
    assert not AuthToken.objects.exists()


@pytest.mark.usefixtures("boss")
def test_token__of_a_superuser_is_handed_out_by_superusers_only() -> None:
    staff = User.objects.create_user("staff", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="add_authtoken"))
    client = Client()
    client.force_login(staff)

    answer = client.post(ADD, {"user": "boss", "expires": "30"})

    assert "Only a superuser" in answer.content.decode()
    assert not AuthToken.objects.exists()
