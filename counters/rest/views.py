"""Views of the write API: add, batches of events, namespaces."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlencode

from rest_framework.response import Response

from counters import conf
from counters.db import clock
from counters.errors import (
    AccessDenied,
    BatchRefused,
    BatchTooLarge,
    CountersError,
    InvalidValue,
    MissingValue,
)
from counters.json_values import read_delta, read_time
from counters.models import NAMESPACE_PATTERN
from counters.namespaces import access, deletion, lookup
from counters.namespaces import settings as configuring
from counters.recording import batch
from counters.recording.record import record
from counters.recording.validation import CheckedEvent, check_event
from counters.rest import openapi_operations
from counters.rest.base_view import CountersView, refuse_token_in_header, token_of
from counters.rest.calls import ApiRequest, Body
from counters.rest.openapi_operations import MOST_NAMESPACES
from counters.rest.parsers import read_named, read_object, read_whole_number
from counters.rest.schemas import (
    BatchBody,
    BatchEventBody,
    NewEventBody,
    fields_of,
    namespace_body,
    recorded_body,
)

EVENTS_WANTED = "a list of events, each an object with namespace, name and delta"
# A cursor is this and a namespace's name, so that invented cursors are refused.
CURSOR_PREFIX = "after:"
# Well below the usual time-outs of proxies and clients.
DELETES_WITHIN = timedelta(seconds=10)


class AddCall(CountersView):
    """The part of an add that writes."""

    def add(
        self, request: ApiRequest, namespace: str, in_path: str | None
    ) -> tuple[str, dict[str, Any]]:
        """Add what the request says; return the counter's name and the answer."""
        self.check_right(request, namespace, "write")
        fields = read_named(request.data, in_path, allowed=fields_of(NewEventBody))
        event = check_event(
            namespace=namespace,
            name=fields["name"],
            delta=read_delta(fields.get("delta")),
            token=token_of(request, fields.get("token")),
            generation_time=read_time("generation_time", fields.get("generation_time")),
        )
        answer = recorded_body(record(event))
        return event.name, self.named(event.name, in_path, answer)


class EventsView(CountersView):
    """Add up to 10,000 events in one transaction."""

    most_body_bytes = conf.body_bytes()

    @openapi_operations.add_batch
    def post(self, request: ApiRequest) -> Body:
        refuse_token_in_header(request)
        events = _events(request.data)
        now = clock.now()
        checked: list[CheckedEvent] = []
        # Rights are checked once for each namespace of the batch, not for each event.
        may_write: set[str] = set()
        for index, event in enumerate(events):
            try:
                checked.append(self._check(request, event, now, may_write))
            except CountersError as error:
                raise BatchRefused(index, error) from error
        recorded = batch.add_all(checked)
        return {"results": [recorded_body(one) for one in recorded]}

    def _check(
        self, request: ApiRequest, event: object, now: datetime, may_write: set[str]
    ) -> CheckedEvent:
        fields = read_object(event, allowed=fields_of(BatchEventBody))
        namespace = fields.get("namespace")
        if namespace is None:
            raise MissingValue("namespace", "the name of a namespace")
        if not isinstance(namespace, str) or namespace not in may_write:
            may_write.add(self.check_right(request, namespace, "write").name)
        return check_event(
            namespace=namespace,
            name=fields.get("name"),
            delta=read_delta(fields.get("delta")),
            token=fields.get("token"),
            generation_time=read_time("generation_time", fields.get("generation_time")),
            now=now,
        )


def _events(body: object) -> list[Any]:
    fields = read_object(body, allowed=fields_of(BatchBody))
    if "events" not in fields:
        raise MissingValue("events", EVENTS_WANTED)
    events = fields["events"]
    if not isinstance(events, list):
        raise InvalidValue("events", events, EVENTS_WANTED)
    if len(events) > batch.BATCH_EVENTS:
        raise BatchTooLarge(len(events), batch.BATCH_EVENTS)
    return events


class NamespacesView(CountersView):
    """List the namespaces that the caller may see; create one."""

    @openapi_operations.list_namespaces
    def get(self, request: ApiRequest) -> Body:
        visible = access.visible_to(cast(access.User, request.user)).order_by("name")
        query = request.query_params
        limit = _read_limit(query.get("limit"))
        if (cursor := query.get("cursor")) is not None:
            visible = visible.filter(name__gt=_read_cursor(cursor))
        found = list(visible if limit is None else visible[: limit + 1])
        further = limit is not None and len(found) > limit
        page = found[:limit]
        link = None
        if further:
            parameters = urlencode(
                {"limit": limit, "cursor": CURSOR_PREFIX + page[-1].name}
            )
            link = request.build_absolute_uri(f"{request.path}?{parameters}")
        return {"results": [namespace_body(one) for one in page], "next": link}

    @openapi_operations.create_namespace
    def post(self, request: ApiRequest) -> Response:
        user = cast(access.User, request.user)
        if not access.may_create_namespaces(user):
            raise AccessDenied.to_create()
        settings = read_object(request.data, allowed=configuring.FIELDS)
        manager = None if access.is_superuser(user) else user
        created = configuring.create(settings, manager=manager)
        return Response(namespace_body(created), status=HTTPStatus.CREATED)


class NamespaceView(CountersView):
    """Read and change a namespace's settings; delete it."""

    @openapi_operations.read_namespace
    def get(self, request: ApiRequest, namespace: str) -> Body:
        access.check_visible(cast(access.User, request.user), namespace)
        return namespace_body(lookup.get_now(namespace))

    @openapi_operations.change_namespace
    def patch(self, request: ApiRequest, namespace: str) -> Body:
        self.check_right(request, namespace, "manage")
        settings = read_object(request.data, allowed=configuring.FIELDS)
        return namespace_body(configuring.change(namespace, settings))

    @openapi_operations.delete_namespace
    def delete(self, request: ApiRequest, namespace: str) -> Response:
        self.check_right(request, namespace, "manage")
        deletion.delete_namespace(
            namespace,
            confirm=request.query_params.get("confirm"),
            within=DELETES_WITHIN,
        )
        return Response(status=HTTPStatus.NO_CONTENT)


def _read_limit(value: str | None) -> int | None:
    """Return how many namespaces a page has; None for all of them."""
    if value is None:
        return None
    return read_whole_number("limit", value, most=MOST_NAMESPACES)


def _read_cursor(value: str) -> str:
    """Return the namespace's name after which a page begins."""
    name = value.removeprefix(CURSOR_PREFIX)
    if name == value or not re.fullmatch(NAMESPACE_PATTERN, name):
        raise InvalidValue("cursor", value, "a cursor; take it from `next`")
    return name
