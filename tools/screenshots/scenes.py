"""The pictures, each the way an operator comes to what it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from tools.screenshots.afternoon import BOSS, LAGGING, PASSWORD

CHROMIUM = "/usr/bin/chromium"
WIDTH, PHONE_WIDTH = 1320, 390
LIST = "/admin/counters/counter/"
# A token is a secret, even of a service that is gone.
_MASK = "document.getElementById('token').textContent = '4d1f09c2' + '•'.repeat(56)"


def take(url: str, into: Path, only: str) -> Iterator[Path]:
    """Log in, take the pictures in turn, and yield where each was put."""
    into.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        page = browser.new_context(base_url=url, viewport=_size(760)).new_page()
        _log_in(page)
        for name, (scene, height) in SCENES.items():
            page.set_viewport_size(
                _size(height, PHONE_WIDTH if "phone" in name else WIDTH)
            )
            page.emulate_media(color_scheme="dark" if "dark" in name else "light")
            # All are played, for one leads to the next.
            scene(page)
            if only in name:
                path = into / f"{name}.png"
                page.screenshot(path=path, animations="disabled")
                yield path
        browser.close()


def _size(height: int, width: int = WIDTH) -> ViewportSize:
    return {"width": width, "height": height}


def _log_in(page: Page) -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill(BOSS)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Operations").wait_for()


def _counters(page: Page) -> None:
    page.locator(".model-counter th a").first.click()
    page.get_by_role("link", name="shop", exact=True).click()
    page.get_by_role("link", name="highest count first").click()


def _lagging(page: Page) -> None:
    page.goto(LIST)
    page.get_by_role("link", name="pending, longest lag first").click()


def _counter(page: Page) -> None:
    page.get_by_role("link", name=LAGGING).click()
    page.get_by_role("link", name="hour", exact=True).click()
    page.locator(".plot").wait_for()


def _roll_up(page: Page) -> None:
    page.get_by_role("link", name="Roll up now").click()


def _rolled_up(page: Page) -> None:
    page.get_by_role("button", name="Roll up").click()
    page.get_by_role("link", name="Verify").click()


def _clear(page: Page) -> None:
    page.goto(f"{LIST}?q=banner/spring")
    page.get_by_role("link", name="banner/spring").first.click()
    page.get_by_role("link", name="Clear", exact=True).click()


def _namespace(page: Page) -> None:
    page.goto("/admin/counters/namespace/?q=shop")
    page.get_by_role("link", name="shop", exact=True).first.click()
    page.get_by_label("Keeps events for").fill("7 days")
    page.get_by_label("Keeps events for").scroll_into_view_if_needed()


def _namespace_asked(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def _token(page: Page) -> None:
    page.goto("/admin/knox/authtoken/add/")
    page.get_by_label("User").fill("shop-frontend")
    page.get_by_role("button", name="Create", exact=True).click()
    page.locator("#token").wait_for()
    page.evaluate(_MASK)


def _sweeps(page: Page) -> None:
    page.goto("/admin/rollups/sweep/")


def _operations(page: Page) -> None:
    page.goto("/ops")
    page.locator(".plot").first.wait_for()


def _api(page: Page) -> None:
    page.goto("/api/docs")
    page.locator(".opblock").first.wait_for()


# Name -> the way there, and how high the picture is.
SCENES: dict[str, tuple[Callable[[Page], None], int]] = {
    "counters": (_counters, 720),
    "lagging": (_lagging, 440),
    "counter": (_counter, 760),
    "roll-up": (_roll_up, 340),
    "rolled-up": (_rolled_up, 640),
    "clear": (_clear, 440),
    "namespace": (_namespace, 760),
    "namespace-asked": (_namespace_asked, 400),
    "token": (_token, 460),
    "sweeps": (_sweeps, 560),
    "ops": (_operations, 1180),
    "ops-dark": (_operations, 1180),
    "ops-phone": (_operations, 780),
    "api": (_api, 760),
}
