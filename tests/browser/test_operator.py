"""The main tasks of an operator, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from knox.models import AuthToken
from playwright.sync_api import Page, expect

from counters import events
from counters.models import Namespace
from counters.namespaces import api_tokens
from rollups.folding import fold
from rollups.models import Process, Sample

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]
Check = Callable[[Page], None]
PHONE = {"width": 375, "height": 740}


@pytest.fixture
def counted(committed_namespace: Namespace) -> None:
    """A counter that is folded, and one that lags."""
    for name in ("page/home", "page/about"):
        added = events.add(namespace="test", name=name, delta=1200)
        fold.fold([added.counter_id])
    events.add(namespace="test", name="page/about", delta=34)


@pytest.fixture
def hour(transactional_db: None) -> None:
    """What an hour of samples and two processes would have left."""
    now = datetime.now(UTC)
    for minute in (half / 2 for half in range(120)):
        wave = (5 + minute * 7 % 11) * (3 if 20 < minute < 32 else 1)
        Sample.objects.create(
            sampled_at=now - timedelta(minutes=minute, seconds=1),
            pending=round(3 * wave),
            lag_p50_seconds=0.02 * wave,
            lag_p99_seconds=0.1 * wave,
            lag_max_seconds=0.2 * wave,
            inserted=round(900_000 - 15_000 * minute + 200 * wave),
            numbers={
                "events_folded": round(900_000 - 15_000 * minute),
                "requested": 40_000 - round(100 * minute),
                "published": 30_000 - round(90 * minute),
                "coalesced": 9_000,
                "healed": 2,
            },
        )
    for role in ("web", "worker"):
        Process.objects.create(id=uuid4(), role=role, host="one", pid=4711, numbers={})


@pytest.mark.usefixtures("counted")
def test_operator__finds_a_lagging_counter_sees_why_and_rolls_it_up(
    operator: Page, accessible: Check
) -> None:
    page = operator
    accessible(page)
    page.locator(".model-counter th a").first.click()
    accessible(page)
    page.get_by_role("link", name="pending, longest lag first").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)

    page.get_by_role("link", name="page/about").click()
    expect(page.get_by_text("No worker has reported")).to_be_visible()
    expect(page.locator(".big")).to_have_text("1,200")
    accessible(page)
    page.get_by_role("link", name="Roll up now").click()
    accessible(page)
    page.get_by_role("button", name="Roll up").click()

    expect(page.locator(".big")).to_have_text("1,234")
    expect(page.get_by_text("folded: nothing is pending")).to_be_visible()
    page.get_by_role("link", name="Verify").click()
    expect(page.get_by_text("no difference")).to_be_visible()
    page.get_by_role("link", name="Log", exact=True).click()
    expect(page.get_by_text("Rolled up: 1 event.")).to_be_visible()


@pytest.mark.usefixtures("counted")
def test_operator__clears_a_counter_only_by_its_name(
    operator: Page, accessible: Check
) -> None:
    page = operator
    page.goto("/admin/counters/counter/?q=page/home")
    page.get_by_role("link", name="page/home").click()
    page.get_by_role("link", name="Clear", exact=True).click()
    page.get_by_label("Type the counter's name").fill("page/hom")
    page.get_by_role("button", name="Clear it").click()

    expect(page.get_by_role("alert")).to_contain_text("Nothing was cleared")
    accessible(page)
    page.get_by_label("Type the counter's name").fill("page/home")
    page.get_by_role("button", name="Clear it").click()

    expect(page.get_by_text("its count was 1,200")).to_be_visible()
    expect(page.locator(".big")).to_have_text("0")


def test_operator__creates_a_namespace(operator: Page, accessible: Check) -> None:
    page = operator
    page.goto("/admin/counters/namespace/add/")
    accessible(page)
    page.get_by_label("Name:", exact=True).fill("shop")
    page.get_by_label("Keeps events for").fill("90 days")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Keeps events for: 90 days")).to_be_visible()
    accessible(page)
    assert not Namespace.objects.exists()
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_role("link", name="shop", exact=True).first).to_be_visible()
    accessible(page)
    assert Namespace.objects.get().retention == timedelta(days=90)


def test_operator__shortens_a_retention_after_a_warning(
    operator: Page, accessible: Check, committed_namespace: Namespace
) -> None:
    page = operator
    page.goto(f"/admin/counters/namespace/{committed_namespace.pk}/change/")
    page.get_by_label("Keeps events for").fill("7 days")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("30 days → 7 days")).to_be_visible()
    expect(page.get_by_text("cannot be restored")).to_be_visible()
    accessible(page)
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("was changed successfully")).to_be_visible()
    committed_namespace.refresh_from_db()
    assert committed_namespace.retention == timedelta(days=7)


def test_operator__creates_a_token_and_revokes_it(
    operator: Page, accessible: Check
) -> None:
    User.objects.create_user("reader")
    page = operator
    page.goto("/admin/knox/authtoken/")
    page.get_by_role("link", name="Create an API token").click()
    accessible(page)
    page.get_by_label("User").fill("reader")
    page.get_by_role("button", name="Create", exact=True).click()
    token = page.locator("#token").inner_text()
    accessible(page)
    assert len(token) > 40

    page.get_by_role("link", name="Back to the list").click()
    accessible(page)
    assert AuthToken.objects.count() == 1
    page.get_by_role("link", name=re.compile("Revoke")).click()
    accessible(page)
    page.get_by_role("button", name="Revoke it").click()

    expect(page.get_by_text("is revoked")).to_be_visible()
    assert not AuthToken.objects.exists()


@pytest.mark.usefixtures("counted", "hour")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"width": 1280, "height": 900}, PHONE])
def test_operator__looks_at_the_operations_page(
    operator: Page, accessible: Check, scheme: str, size: dict[str, int]
) -> None:
    page = operator
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    page.get_by_role("link", name="Operations").click()

    expect(page.get_by_role("heading", name="WARNING")).to_be_visible()
    expect(page.get_by_text("none has reported")).to_have_count(1)
    page.get_by_text("Show as a table").first.click()
    accessible(page)
    # Nothing is wider than the screen, but in a box that scrolls by itself.
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


@pytest.mark.usefixtures("counted")
def test_operations_page__refreshes_itself(operator: Page) -> None:
    page = operator
    page.goto("/ops")
    first = page.locator(".tiles dd").first
    expect(first).to_have_text("1")
    page.get_by_text("Show as a table").first.click()

    events.add(namespace="test", name="another")

    expect(first).to_have_text("2")
    expect(page.locator("details[open]")).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_have_text("Paused.")


def test_operator__reads_the_list_of_tokens_on_a_phone(operator: Page) -> None:
    api_tokens.create(user="boss")
    page = operator
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})

    page.goto("/admin/knox/authtoken/")

    expect(page.get_by_role("heading", name="API tokens")).to_be_visible()
    expect(page).to_have_title("API tokens | Fold counters")
    # The table scrolls in its box; the page does not.
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@pytest.mark.usefixtures("counted")
def test_operator__reads_list_and_counter_on_a_phone(
    operator: Page, accessible: Check
) -> None:
    page = operator
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    page.goto("/admin/counters/counter/")
    accessible(page)
    listed = page.evaluate("document.documentElement.scrollWidth")
    page.get_by_role("link", name="page/about").click()
    expect(page.locator(".big")).to_be_visible()
    accessible(page)
    shown = page.evaluate("document.documentElement.scrollWidth")

    assert (listed, shown) == (PHONE["width"], PHONE["width"])
