"""Views of the operations page, and of the part that its script refreshes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import user_passes_test
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from rollups.pages import last_hour, overview

# A page in the background sends no requests: see ops.js.
REFRESH_SECONDS = 5


View = Callable[[HttpRequest], HttpResponse]


def staff_only(view: View) -> View:
    """Let staff in; send others to log in, in the admin or, if it has no URL, at LOGIN_URL."""

    @wraps(view)
    def checked(request: HttpRequest) -> HttpResponse:
        if _has_admin():
            return admin.site.admin_view(view)(request)
        return user_passes_test(_is_staff)(view)(request)

    return checked


@staff_only
@never_cache
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    # Without the admin's URLs its base page has nothing to link to.
    around = {"base": "admin/base.html"}
    if _has_admin():
        around = {"base": "admin/base_site.html"} | admin.site.each_context(request)
    context = {"title": "Operations", "refresh_seconds": REFRESH_SECONDS}
    return TemplateResponse(request, "rollups/ops.html", _context() | around | context)


@staff_only
@never_cache
@require_safe
def fragment(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "rollups/ops_now.html", _context())


def _context() -> dict[str, Any]:
    now = overview.measure()
    return {"now": now, "plots": last_hour.draw(now.at)}


def _has_admin() -> bool:
    try:
        reverse("admin:index")
    except NoReverseMatch:
        return False
    return True


def _is_staff(user: Any) -> bool:
    return user.is_active and getattr(user, "is_staff", False)
