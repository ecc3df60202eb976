"""Find the counters of an admin page, always by an index."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.db import connection
from django.db.models import BigIntegerField, F, Func, QuerySet, Value
from django.http import HttpRequest

from counters.admin.pagination import MOST_ROWS
from counters.db.statements import fetch
from counters.models import Counter, Namespace
from counters.recording import names
from counters.recording.names import COUNTER_NAME_LENGTH
from rollups.models import Failure

# The sidebar offers no more; the others are reached from the list of namespaces.
MOST_NAMESPACES = 30
# The last code point. A prefix filled up with it to a name's length is the upper bound
# of all names with this prefix.
LAST = "\U0010ffff"
ORDERS = {
    "count": ["-rollup__total", "-rollup__counter"],
    "written": ["-rollup__last_write_at", "-rollup__counter"],
}


def _id(text: str | None) -> int | None:
    """Return an id from a query string; None if it is not a bigint."""
    if not text or not text.isascii() or not text.isdigit() or len(text) > 18:
        return None
    return int(text)


class _Filter(admin.SimpleListFilter):
    """A filter of the sidebar. CounterList chooses the rows, by all filters together."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset


class NamespaceFilter(_Filter):
    """Filter by namespace. Orders and searches need it."""

    title = "namespace"
    parameter_name = "namespace"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        found = dict(Namespace.objects.values_list("pk", "name")[:MOST_NAMESPACES])
        chosen = _id(request.GET.get(self.parameter_name, ""))
        if chosen is not None and chosen not in found:
            found |= dict(Namespace.objects.filter(pk=chosen).values_list("pk", "name"))
        return [(str(pk), name) for pk, name in found.items()]


class StateFilter(_Filter):
    """Filter by lag, the longest lag first."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("pending", "pending, longest lag first"),
            ("quarantined", "quarantined"),
        ]


class OrderFilter(_Filter):
    """Choose the order within a namespace. Each order has an index."""

    title = "order"
    parameter_name = "order"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if not request.GET.get(NamespaceFilter.parameter_name):
            return []
        return [("count", "highest count first"), ("written", "last written first")]


class CounterList(ChangeList):
    """Choose a bounded query for the requested filters."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[Any]:
        # Sets what the sidebar shows; the filters above leave the rows to what is below.
        super().get_queryset(request, exclude_parameters)
        asked = {
            spec.parameter_name: spec.value()
            for spec in self.filter_specs
            if isinstance(spec, admin.SimpleListFilter)
        }
        namespace_id = _id(asked.get("namespace"))
        if asked.get("namespace") is not None and namespace_id is None:
            return Counter.objects.none()
        prefix = request.GET.get(SEARCH_VAR, "").strip()
        return find(
            namespace_id=namespace_id,
            prefix="" if "\0" in prefix else names.normalized(prefix),
            state=asked.get("state"),
            order=asked.get("order"),
        ).select_related("namespace")


class Place(Func):
    """The position of an id in a list, with one parameter for the whole list."""

    template = "array_position(%(expressions)s)"
    output_field = BigIntegerField()


def find(
    *,
    namespace_id: int | None,
    prefix: str = "",
    state: str | None = None,
    order: str | None = None,
) -> QuerySet[Counter]:
    """Return counters in the requested order. Each query reads a bounded part of an index.

    By name within a namespace; across namespaces the first of each that begin so. Pending
    ones by lag. By count or last write within a namespace, those that were ever folded.
    """
    if state == "pending":
        return _in_order(
            fetch(
                connection,
                "rollups",
                "find_pending",
                namespace_id=namespace_id,
                prefix=prefix,
                most=MOST_ROWS,
            )
        )
    if state == "quarantined":
        apart = Failure.objects.order_by("-failed_at").values_list("pk")[:MOST_ROWS]
        found = _in_order(list(apart))
        if namespace_id is not None:
            found = found.filter(namespace_id=namespace_id)
        return found.filter(name__startswith=prefix)
    if namespace_id is None:
        if prefix:
            return _in_order(
                fetch(
                    connection,
                    "rollups",
                    "find_by_prefix",
                    prefix=prefix,
                    most=MOST_ROWS,
                )
            )
        return Counter.objects.order_by("namespace_id", "name")
    if order in ORDERS and not prefix:
        # The rollup's own namespace: the index begins with it.
        column = order == "written"
        found = Counter.objects.filter(rollup__namespace_id=namespace_id)
        if column:
            found = found.filter(rollup__last_write_at__isnull=False)
        return found.order_by(*ORDERS[order])
    found = Counter.objects.filter(namespace_id=namespace_id)
    if prefix:
        # Not LIKE: see find_by_prefix.sql.
        found = found.filter(name__range=(prefix, prefix + LAST * COUNTER_NAME_LENGTH))
    return found.order_by("namespace_id", "name")


def _in_order(rows: list[tuple[Any, ...]]) -> QuerySet[Counter]:
    """Return the counters of these ids, in their order."""
    ids = [counter_id for (counter_id,) in rows]
    if not ids:
        return Counter.objects.none()
    return Counter.objects.filter(pk__in=ids).order_by(Place(Value(ids), F("pk")))
