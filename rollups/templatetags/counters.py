"""`{% load counters %}`: counts in templates.

    {% count "demo" "page/home" %}        a counter by its names
    {% count_of article.views %}          a counter attached to a model
    {% count_of article.views as views %}

Digits are grouped as the reader's language has it. What nobody added to is 0. What cannot
be told (no such namespace, no cache for best-effort counts) is a dash and a line in the
log: a page does not fall for a count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma

from counters.errors import CounterNotFound, CountersError
from rollups import reading
from rollups.attaching import AttachedCounter

logger = logging.getLogger(__name__)
register = template.Library()

UNKNOWN = "–"  # noqa: RUF001


@register.simple_tag
def count(namespace: str, name: str, accuracy: str | None = None) -> str:
    """The count of a counter, by its namespace and name."""
    return _shown(
        lambda: reading.get(namespace=namespace, name=name, accuracy=accuracy).count
    )


@register.simple_tag
def count_of(counter: AttachedCounter | str, accuracy: str | None = None) -> str:
    """The count of a counter that is attached to a model; those of a page are read at
    once by `rollups.attaching.with_counts`."""
    # An object that is not saved, or a misspelt attribute, comes as empty text.
    if not isinstance(counter, AttachedCounter):
        return UNKNOWN
    if accuracy is None:
        return _shown(lambda: counter.count)
    return _shown(lambda: counter.read(accuracy=accuracy).count)


def _shown(read: Callable[[], int]) -> str:
    try:
        found = read()
    except CounterNotFound:
        found = 0
    except CountersError as error:
        logger.warning("A page shows a dash in place of a count: %s", error)
        return UNKNOWN
    return str(intcomma(found))
