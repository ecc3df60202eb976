"""Numbers as people read them."""

from __future__ import annotations

from django import template

from counters.durations import format_roughly

register = template.Library()


@register.filter
def grouped(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


@register.filter
def rough(seconds: float | None) -> str:
    return "unknown" if seconds is None else format_roughly(seconds)


@register.filter
def per_second(rate: float | None) -> str:
    if rate is None:
        return "unknown"
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
