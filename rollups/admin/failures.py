"""Counters set apart: their fold fails, and is tried again by the sweep."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from counters.admin.pagination import ReadOnlyAdmin
from rollups.models import Failure


@admin.register(Failure)
class FailureAdmin(ReadOnlyAdmin):
    list_display = [
        "page",
        "error",
        "attempts",
        "failed_since",
        "failed_at",
        "next_try_at",
    ]
    list_display_links = None
    ordering = ["-failed_at"]

    @admin.display(description="counter")
    def page(self, failure: Any) -> SafeString:
        return format_html(
            '<a href="../../counters/counter/{}/change/">counter {}</a>',
            failure.pk,
            failure.pk,
        )
