"""Views of the read API, and of the calls that write and read: add, clear, delete."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast
from urllib.parse import urlencode

from rest_framework.response import Response

from counters.errors import InvalidValue, MissingValue, NotAnchored
from counters.json_values import read_time
from counters.namespaces import access, deletion
from counters.recording import names
from counters.rest.base_view import CountersView, token_of
from counters.rest.calls import ApiRequest, Body
from counters.rest.parsers import (
    read_claim,
    read_named,
    read_object,
    read_text,
    read_whole_number,
)
from counters.rest.schemas import fields_of
from counters.rest.views import AddCall
from rollups import counts
from rollups.folding import cluster_identity
from rollups.reading import listing
from rollups.reading.read import choose_accuracy
from rollups.rest import cursors, openapi_operations
from rollups.rest.schemas import (
    MOST_NAMES,
    NAMES_WANTED,
    NewClearBody,
    ReadManyBody,
    cleared_body,
    count_body,
    found_body,
    reading_body,
    series_body,
    total_body,
)


class AddView(AddCall):
    """Add a delta; also read the count if the query has `get`."""

    @openapi_operations.add
    def post(
        self, request: ApiRequest, namespace: str, name: str | None = None
    ) -> Body:
        wanted = request.query_params.get("get")
        if wanted is None:
            return self.add(request, namespace, name)[1]
        # Checked before anything is written: an add that counted must not answer an error.
        found = self.check_right(request, namespace, "read")
        accuracy = choose_accuracy(found, wanted, field="get")
        if accuracy == "accurate" and not cluster_identity.is_anchored():
            raise NotAnchored
        counted, added = self.add(request, namespace, name)
        # If the counter has been deleted since, the count is 0: a 404 would say that nothing was
        # added. If the namespace has been deleted, the answer is a 404, as for all later calls.
        read = counts.get_or_zero(namespace=namespace, name=counted, accuracy=accuracy)
        return {**added, **count_body(read)}


class AddByNameView(AddView):
    """AddView with the counter's name in the body."""

    @openapi_operations.add_by_name
    def post(
        self, request: ApiRequest, namespace: str, name: str | None = None
    ) -> Body:
        return super().post(request, namespace)


class CounterView(CountersView):
    """Read a counter, eventual or accurate; delete it permanently."""

    @openapi_operations.read
    def get(self, request: ApiRequest, namespace: str, name: str) -> Body:
        self.check_right(request, namespace, "read")
        accuracy = request.query_params.get("accuracy")
        read = counts.get(namespace=namespace, name=name, accuracy=accuracy)
        return reading_body(read)

    @openapi_operations.delete
    def delete(self, request: ApiRequest, namespace: str, name: str) -> Response:
        self.check_right(request, namespace, "manage")
        deletion.delete_counter(
            namespace=namespace, name=name, confirm=request.query_params.get("confirm")
        )
        return Response(status=HTTPStatus.NO_CONTENT)


class DeleteByNameView(CountersView):
    """Delete a counter permanently, with its name in the body."""

    @openapi_operations.delete_by_name
    def post(self, request: ApiRequest, namespace: str) -> Body:
        self.check_right(request, namespace, "manage")
        fields = read_named(request.data, None, allowed=frozenset({"confirm"}))
        name = names.check(fields["name"])
        deletion.delete_counter(
            namespace=namespace, name=name, confirm=fields.get("confirm")
        )
        return {"name": name}


class CountersListView(CountersView):
    """List a namespace's counters, searched and ordered, in pages; delete one by name."""

    @openapi_operations.list_counters
    def get(self, request: ApiRequest, namespace: str) -> Body:
        found = self.check_right(request, namespace, "read")
        query = request.query_params
        ordering = query.get("ordering", "name")
        cursor = query.get("cursor")
        page = counts.list_counters(
            namespace=found.name,
            ordering=ordering,
            search=read_text("search", query.get("search", "")),
            place=None if cursor is None else cursors.read(cursor, ordering),
            limit=read_whole_number(
                "limit",
                query.get("limit", str(listing.DEFAULT_LIMIT)),
                most=listing.MOST,
            ),
        )
        return {
            "results": [reading_body(one) for one in page.readings],
            "next": _link(request, page.next, ordering),
            "previous": _link(request, page.previous, ordering),
        }

    @openapi_operations.delete_by_query
    def delete(self, request: ApiRequest, namespace: str) -> Body:
        self.check_right(request, namespace, "manage")
        name = names.check(request.query_params.get("name"))
        deletion.delete_counter(
            namespace=namespace, name=name, confirm=request.query_params.get("confirm")
        )
        return {"name": name}


def _link(request: ApiRequest, place: counts.Place | None, ordering: str) -> str | None:
    """Return the URL of the page at a place, with the rest of this request's query."""
    if place is None:
        return None
    query = {**request.query_params.dict(), "cursor": cursors.write(place, ordering)}
    return str(request.build_absolute_uri(f"{request.path}?{urlencode(query)}"))


class ClearView(CountersView):
    """Set a counter to 0; a duplicate clears nothing."""

    @openapi_operations.clear
    def post(
        self, request: ApiRequest, namespace: str, name: str | None = None
    ) -> Body:
        found = self.check_right(request, namespace, "write")
        fields = read_named(request.data, name, allowed=fields_of(NewClearBody))
        token = token_of(request, fields.get("token"))
        if token is not None and not isinstance(token, str):
            raise InvalidValue("token", token, "text")
        checked = names.check(fields["name"])
        cleared = counts.clear(
            namespace=namespace,
            name=checked,
            token=token,
            generation_time=read_time("generation_time", fields.get("generation_time")),
        )
        rights = access.rights_in(cast(access.User, request.user), found)
        body = cleared_body(cleared, may_read=rights.read)
        return self.named(checked, name, body)


class ClearByNameView(ClearView):
    """ClearView with the counter's name in the body."""

    @openapi_operations.clear_by_name
    def post(
        self, request: ApiRequest, namespace: str, name: str | None = None
    ) -> Body:
        return super().post(request, namespace)


class ReadView(CountersView):
    """Read many counters of a namespace in one snapshot, in the order of the names."""

    # The longest names, each character written as two JSON escapes.
    most_body_bytes = 4 * 1024 * 1024

    @openapi_operations.read_many
    def post(self, request: ApiRequest, namespace: str) -> Body:
        found = self.check_right(request, namespace, "read")
        fields = read_object(request.data, allowed=fields_of(ReadManyBody))
        accuracy = choose_accuracy(found, fields.get("accuracy"))
        readings = counts.get_many(
            [
                counts.CounterName(found.name, name)
                for name in _names(fields.get("names"))
            ],
            accuracy="accurate" if accuracy == "accurate" else "eventual",
        )
        return {"results": [found_body(one) for one in readings]}


def _names(value: object) -> list[str]:
    if value is None:
        raise MissingValue("names", NAMES_WANTED)
    if not isinstance(value, list):
        raise InvalidValue("names", value, NAMES_WANTED)
    if len(value) > MOST_NAMES:
        raise InvalidValue("names", f"{len(value):,} names", NAMES_WANTED)
    return [names.check(name, field=f"names[{i}]") for i, name in enumerate(value)]


class SeriesView(CountersView):
    """A counter's folded sums per minute, hour or day."""

    @openapi_operations.series
    def get(self, request: ApiRequest, namespace: str, name: str | None = None) -> Body:
        found = self.check_right(request, namespace, "read")
        query = request.query_params
        checked = names.check(query.get("name") if name is None else name)
        read = counts.series(
            namespace=found.name,
            name=checked,
            bucket=query.get("bucket"),
            since=read_time("from", query.get("from")),
            until=read_time("to", query.get("to")),
            with_gaps=read_claim("gaps", query.get("gaps")),
        )
        return self.named(checked, name, series_body(read))


class SeriesByNameView(SeriesView):
    """SeriesView with the counter's name in the query."""

    @openapi_operations.series_by_name
    def get(self, request: ApiRequest, namespace: str, name: str | None = None) -> Body:
        return super().get(request, namespace)


class TotalView(CountersView):
    """Read the folded sum of a counter in a span; by default of all its events."""

    @openapi_operations.total
    def get(self, request: ApiRequest, namespace: str) -> Body:
        found = self.check_right(request, namespace, "read")
        query = request.query_params
        total = counts.total(
            namespace=found.name,
            name=names.check(query.get("name")),
            since=read_time("from", query.get("from")),
            until=read_time("to", query.get("to")),
        )
        return total_body(total)
