"""`GET/POST namespaces`, `GET/PATCH/DELETE namespaces/{ns}`: the control plane."""

from __future__ import annotations

import re
from datetime import timedelta
from http import HTTPStatus
from typing import cast
from urllib.parse import urlencode

from rest_framework.request import Request
from rest_framework.response import Response

from counters.errors import AccessDenied, InvalidValue
from counters.models import NAMESPACE_PATTERN
from counters.namespaces import access, deletion, lookup
from counters.namespaces import settings as configuring
from counters.rest import descriptions
from counters.rest.base import CountersView
from counters.rest.descriptions import MOST_NAMESPACES
from counters.rest.parsers import read_object, read_whole_number
from counters.rest.responses import namespace_body

# So that a value made up by the caller is refused: a cursor is this and a namespace's name.
CURSOR_PREFIX = "after:"
# Well below the usual time-outs of proxies and clients.
DELETES_WITHIN = timedelta(seconds=10)


class NamespacesView(CountersView):
    """The namespaces that the caller may see; making new ones."""

    @descriptions.list_namespaces
    def get(self, request: Request) -> Response:
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
        return Response(
            {"results": [namespace_body(one) for one in page], "next": link}
        )

    @descriptions.create_namespace
    def post(self, request: Request) -> Response:
        user = cast(access.User, request.user)
        if not access.may_create_namespaces(user):
            raise AccessDenied("*", "create namespaces")
        settings = read_object(request.data, allowed=configuring.FIELDS)
        manager = None if access.is_superuser(user) else user
        created = configuring.create(settings, manager=manager)
        return Response(namespace_body(created), status=HTTPStatus.CREATED)


class NamespaceView(CountersView):
    """One namespace's settings; changes reach every process within seconds."""

    @descriptions.read_namespace
    def get(self, request: Request, namespace: str) -> Response:
        access.check_visible(cast(access.User, request.user), namespace)
        return Response(namespace_body(lookup.get_now(namespace)))

    @descriptions.change_namespace
    def patch(self, request: Request, namespace: str) -> Response:
        self.check_right(request, namespace, "manage")
        settings = read_object(request.data, allowed=configuring.FIELDS)
        return Response(namespace_body(configuring.change(namespace, settings)))

    @descriptions.delete_namespace
    def delete(self, request: Request, namespace: str) -> Response:
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
    limit = read_whole_number("limit", value, 0)
    if not 1 <= limit <= MOST_NAMESPACES:
        raise InvalidValue(
            "limit", limit, f"a whole number from 1 to {MOST_NAMESPACES}"
        )
    return limit


def _read_cursor(value: str) -> str:
    """Return the namespace's name after which a page begins."""
    name = value.removeprefix(CURSOR_PREFIX)
    if name == value or not re.fullmatch(NAMESPACE_PATTERN, name):
        raise InvalidValue("cursor", value, "a cursor; take it from `next`")
    return name
