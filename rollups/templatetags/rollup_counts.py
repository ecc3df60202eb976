"""`{% load rollup_counts %}`: counts in templates.

    {% count "demo" "page/home" %}        a counter by its names
    {% count_of article.views %}          a counter attached to a model
    {% count_of article.views as views %}

Digits are grouped by the rules of the reader's language. A counter without adds is 0.
A count that cannot be read (no such namespace, no cache for best-effort counts, no database)
is a dash and a line in the log: a missing count never breaks a page.
"""

from __future__ import annotations

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma

from counters.errors import CounterNotFound
from rollups import counts as reading
from rollups.fields import UNKNOWN, AttachedCounter, if_told

register = template.Library()


@register.simple_tag
def count(namespace: str, name: str, accuracy: str | None = None) -> str:
    """Return the count of a counter by its namespace and name."""

    def read() -> int:
        try:
            return reading.get(namespace=namespace, name=name, accuracy=accuracy).count
        except CounterNotFound:
            return 0

    return _shown(if_told(read))


@register.simple_tag
def count_of(counter: AttachedCounter | str, accuracy: str | None = None) -> str:
    """The count of a counter that is attached to a model; those of a page are read at
    once by `rollups.fields.with_counts`."""
    # An object that is not saved, or a misspelt attribute, comes as empty text.
    if not isinstance(counter, AttachedCounter):
        return UNKNOWN
    return _shown(counter.count_for_page(accuracy=accuracy))


def _shown(count: int | None) -> str:
    return UNKNOWN if count is None else str(intcomma(count))
