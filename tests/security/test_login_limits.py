"""The admin: who gets in, and how often one may try."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client, RequestFactory
from pytest_django import Settings

from counters_project import login_limits

PASSWORD = "correct horse battery"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh(settings: Settings) -> Iterator[None]:
    # The real one takes half a second for each password.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    # The clock stands still, so a pause after a failure of the cache would not end.
    login_limits.attempts.resume()
    with time_machine.travel("2026-05-05T12:01:00Z", tick=False):
        yield
    cache.clear()


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss", password=PASSWORD)


def log_in(
    password: str, *, user: str = "boss", address: str = "10.0.0.1", told: str = ""
) -> bool:
    """Return whether the login page lets this one in."""
    response = Client(REMOTE_ADDR=address).post(
        "/admin/login/?next=/admin/",
        {"username": user, "password": password},
        headers={"X-Forwarded-For": told} if told else {},
    )
    return response.status_code == 302


@pytest.mark.parametrize("path", ["", "counters/namespace/", "auth/user/"])
def test_admin__is_for_staff_only(path: str) -> None:
    client = Client()
    stranger = client.get(f"/admin/{path}")
    client.force_login(User.objects.create_user("user"))
    user = client.get(f"/admin/{path}")
    client.force_login(User.objects.create_user("staff", is_staff=True))
    staff = client.get(f"/admin/{path}")

    assert stranger["Location"].startswith("/admin/login/")
    assert user["Location"].startswith("/admin/login/")
    # Staff without a right in it sees the empty front page, and nothing else.
    assert staff.status_code == (200 if not path else 403)


@pytest.mark.usefixtures("boss")
def test_login__is_not_tried_after_too_many_from_an_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries = [
        log_in("wrong", user=f"u{i}") for i in range(login_limits.ADDRESS_ATTEMPTS)
    ]
    with caplog.at_level(logging.WARNING, "counters_project.login_limits"):
        refused = log_in(PASSWORD)
    elsewhere = log_in(PASSWORD, address="10.0.0.2")

    assert not any(tries)
    assert (refused, elsewhere) == (False, True)
    assert "10.0.0.1" in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.usefixtures("boss")
def test_login__is_not_tried_after_too_many_for_an_account() -> None:
    for number in range(login_limits.ACCOUNT_ATTEMPTS):
        log_in("wrong", address=f"10.0.1.{number}")

    assert not log_in(PASSWORD, address="10.0.0.2")


@pytest.mark.usefixtures("boss")
def test_login__may_be_tried_again_after_the_window() -> None:
    for _ in range(login_limits.ADDRESS_ATTEMPTS + 1):
        log_in("wrong")

    with time_machine.travel("2026-05-05T12:16:00Z", tick=False):
        assert log_in(PASSWORD)


@pytest.mark.usefixtures("boss")
def test_login__that_succeeds_is_not_counted() -> None:
    assert all(log_in(PASSWORD) for _ in range(login_limits.ADDRESS_ATTEMPTS + 2))


@pytest.mark.usefixtures("boss")
def test_login__goes_on_while_the_cache_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(cache, "add", fail)
    monkeypatch.setattr(cache, "delete_many", fail)

    assert log_in(PASSWORD)
    assert not log_in("wrong")


@pytest.mark.usefixtures("boss")
def test_login__does_not_believe_an_address_that_anybody_can_send() -> None:
    for number in range(login_limits.ADDRESS_ATTEMPTS):
        log_in("wrong", told=f"10.9.9.{number}")

    assert not log_in(PASSWORD, told="10.9.9.200")


@pytest.mark.parametrize(
    ("proxies", "told", "address"),
    [
        (0, "1.1.1.1", "9.9.9.9"),
        (1, "1.1.1.1, 2.2.2.2", "2.2.2.2"),
        (2, "1.1.1.1, 2.2.2.2, 3.3.3.3", "2.2.2.2"),
        # Fewer than there must be: it did not come through the proxies.
        (2, "1.1.1.1", "9.9.9.9"),
    ],
)
def test_address__is_what_the_nearest_proxies_say(
    settings: Settings, proxies: int, told: str, address: str
) -> None:
    settings.PROXIES = proxies
    request = RequestFactory(REMOTE_ADDR="9.9.9.9").get(
        "/", headers={"X-Forwarded-For": told}
    )

    assert login_limits.address_of(request) == address
