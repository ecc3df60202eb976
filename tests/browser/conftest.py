"""A real Chromium, and a page that fails its test on any error or foreign request."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Rules that Django's admin breaks by itself: an inline's first column has no heading.
DJANGOS_OWN = {"empty-table-header"}
PASSWORD = "correct horse battery"
expect.set_options(timeout=10_000)


# Not longer: its loop runs in this thread, where no other test could have one.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        reason = f"there is no {CHROMIUM}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    # Playwright's loop runs in this thread; Django would take it for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=str(CHROMIUM), args=ARGUMENTS, headless=True
            )
            yield browser
            browser.close()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def page(chromium: Browser, live_server: Any) -> Iterator[Page]:
    """A page of the server; at the end there was no error, and no other host was asked."""
    context = chromium.new_context(
        base_url=live_server.url, viewport={"width": 1280, "height": 900}
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on(
        "console",
        lambda message: (
            wrong.append(f"{message.text} {message.location}")
            if message.type in {"error", "warning"}
            else None
        ),
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    host = urlsplit(live_server.url).netloc

    def look(request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob"} and address.netloc != host:
            wrong.append(f"asked {request.url}")

    page.on("request", look)
    yield page
    context.close()
    assert wrong == []


@pytest.fixture
def operator(page: Page) -> Page:
    """The page, with a superuser logged in by its form."""
    User.objects.create_superuser("boss", password=PASSWORD)
    page.goto("/admin/")
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="Operations")).to_be_visible()
    return page


@pytest.fixture
def accessible() -> Callable[[Page], None]:
    """Fails where axe finds anything on the page as it is."""
    axe = Axe()

    def check(page: Page) -> None:
        # A click returns when the next page begins to come: axe would judge half of it.
        page.wait_for_load_state("load")
        # Its preloading would look for imported style sheets in the wrong place.
        options = {"resultTypes": ["violations"], "preload": False}
        found = axe.run(page, options=options).response
        wrong = [
            f"{page.url}: {one['id']}: {[node['html'] for node in one['nodes']][:3]}"
            for one in found["violations"]
            if one["id"] not in DJANGOS_OWN
        ]
        assert wrong == []

    return check
