"""List the counters of a namespace in pages. A late page costs no more than the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import F, Field, Func, Model, QuerySet, Value
from django.db.models.lookups import GreaterThan, LessThan

from counters.db.statements import fetch
from counters.errors import InvalidValue, NotForBestEffort
from counters.models import Counter, Namespace
from counters.namespaces import best_effort, lookup
from counters.recording import names
from rollups.models import Rollup
from rollups.reading.read import Reading

# Sort field -> column. Each column has an index that starts with the namespace.
COLUMNS = {"name": "name", "count": "total", "last_write_at": "last_write_at"}
ORDERINGS = [sign + name for name in COLUMNS for sign in ("", "-")]
DEFAULT_LIMIT, MOST = 50, 500
_BY_SHOWN: dict[str, Callable[[Reading], Any]] = {
    "count": lambda one: (one.count, one.counter_id),
    "last_write_at": lambda one: (one.last_write_at or one.as_of, one.counter_id),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a list: the counter next to it, and the direction to read in."""

    # The ordered value of that counter, and its id, which settles ties.
    value: Any
    counter_id: int
    backwards: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A page of eventual counts, and the positions of the next and the previous page."""

    readings: list[Reading]
    next: Place | None
    previous: Place | None


class Row(Func):
    """A row of values. PostgreSQL compares two rows with one index look-up."""

    function = "ROW"
    # Django needs a type to compare; PostgreSQL uses the types of the values.
    output_field = Field()


def list_counters(
    *,
    namespace: str,
    ordering: str = "name",
    search: str = "",
    place: Place | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page:
    """Return a page of the namespace's counters.

    Sorted by name, the list has all counters; sorted by count or last write, it has only
    counters that were folded at least once.
    `search` keeps names that contain it. Raises NamespaceNotFound, InvalidValue,
    NotForBestEffort.
    """
    found = lookup.get(namespace)
    if best_effort.applies_to(found):
        raise NotForBestEffort(found.name, "lists")
    if ordering not in ORDERINGS:
        raise InvalidValue("ordering", ordering, f"one of {', '.join(ORDERINGS)}")
    if not 1 <= limit <= MOST:
        raise InvalidValue("limit", limit, f"a whole number from 1 to {MOST}")
    backwards = place is not None and place.backwards
    rows = list(_rows(found, ordering, search, place)[: limit + 1])
    more = len(rows) > limit
    rows = rows[:limit]
    if backwards:
        rows.reverse()
    readings = _readings(found, [counter_id for _, counter_id in rows])
    # A fold may have run between the two statements, so sort the page by the values that it
    # shows. The positions come from the first statement, so no counter is missed.
    if by_shown := _BY_SHOWN.get(ordering.removeprefix("-")):
        readings.sort(key=by_shown, reverse=ordering.startswith("-"))
    return Page(
        readings,
        next=Place(*rows[-1], backwards=False)
        if rows and (more or backwards)
        else None,
        previous=Place(*rows[0], backwards=True)
        if rows and (more if backwards else place is not None)
        else None,
    )


def _rows(
    namespace: Namespace, ordering: str, search: str, place: Place | None
) -> QuerySet[Model, tuple[Any, int]]:
    """Return pairs of sort value and counter id after the place, in the direction to read."""
    column = COLUMNS[ordering.removeprefix("-")]
    descending = ordering.startswith("-") != (place is not None and place.backwards)
    rows: QuerySet[Any]
    if column == "name":
        rows, id_column, name = (
            Counter.objects.using(DEFAULT_DB_ALIAS).filter(namespace=namespace),
            "id",
            "name",
        )
    else:
        rows = Rollup.objects.using(DEFAULT_DB_ALIAS).filter(
            namespace_id=namespace.pk, **{f"{column}__isnull": False}
        )
        id_column, name = "counter_id", "counter__name"
    if search:
        rows = rows.filter(**{f"{name}__contains": names.normalized(search)})
    if place is not None:
        beyond = LessThan if descending else GreaterThan
        rows = rows.filter(
            beyond(
                Row(F(column), F(id_column)),
                Row(Value(place.value), Value(place.counter_id)),
            )
        )
    sign = "-" if descending else ""
    return rows.order_by(sign + column, sign + id_column).values_list(column, id_column)


def _readings(namespace: Namespace, counter_ids: list[int]) -> list[Reading]:
    rows = fetch(connection, "rollups", "read_counters", counter_ids=counter_ids)
    return [
        Reading(
            counter_id=counter_id,
            namespace=namespace.name,
            name=name,
            count=int(count),
            as_of=as_of,
            pending=pending,
            accuracy="eventual",
            last_write_at=last_write_at,
        )
        for counter_id, name, count, as_of, pending, last_write_at in rows
    ]
