"""The operations page, and the part of it that its script fetches again and again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from rollups.ops import overview, plots

# A page that nobody looks at asks for nothing: see ops.js.
REFRESH_SECONDS = 5


@never_cache
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    context = _context() | admin.site.each_context(request)
    return TemplateResponse(
        request,
        "rollups/ops.html",
        context | {"title": "Operations", "refresh_seconds": REFRESH_SECONDS},
    )


@never_cache
@require_safe
def fragment(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "rollups/ops_now.html", _context())


def _context() -> dict[str, Any]:
    now = overview.measure()
    return {"now": now, "plots": plots.draw(now.at)}
