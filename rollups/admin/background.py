"""Admin lists of sweeps, quarantined counters and archived partitions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from counters.admin.pagination import ReadOnlyAdmin
from counters.durations import format_roughly
from rollups.models import Closing, Failure, Sweep


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin):
    list_display = ["swept", "pending", "overdue", "healed", "longest_lag"]
    list_display_links = None
    ordering = ["-swept_at"]

    @admin.display(description="at (UTC)")
    def swept(self, sweep: Any) -> str:
        return f"{sweep.swept_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="longest lag")
    def longest_lag(self, sweep: Any) -> str:
        lag = sweep.oldest_lag
        return "none" if lag is None else format_roughly(lag.total_seconds())


@admin.register(Closing)
class ClosingAdmin(ReadOnlyAdmin):
    list_display = [
        "since",
        "until",
        "counters",
        "events",
        "total",
        "closed_at",
        "dropped_at",
    ]
    list_display_links = None
    ordering = ["-closed_at"]


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
