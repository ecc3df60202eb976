"""`GET/POST namespaces`, `GET/PATCH/DELETE namespaces/{ns}`: the control plane."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from rest_framework.request import Request
from rest_framework.response import Response

from counters import access, configuring, deleting, namespaces
from counters.api import described
from counters.api.parsers import read_object
from counters.api.shapes import namespace_body
from counters.api.views import CountersView
from counters.errors import AccessDenied


class NamespacesView(CountersView):
    """The namespaces that the caller may see; making new ones."""

    @described.list_namespaces
    def get(self, request: Request) -> Response:
        visible = access.visible_to(cast(access.User, request.user)).order_by("name")
        return Response({"results": [namespace_body(one) for one in visible]})

    @described.create_namespace
    def post(self, request: Request) -> Response:
        user = cast(access.User, request.user)
        if not access.may_create_namespaces(user):
            raise AccessDenied("*", "create namespaces")
        settings = read_object(request.data, allowed=configuring.FIELDS)
        manager = None if user.is_superuser else user
        created = configuring.create(settings, manager=manager)
        return Response(namespace_body(created), status=HTTPStatus.CREATED)


class NamespaceView(CountersView):
    """One namespace's settings; changes reach every process within seconds."""

    @described.read_namespace
    def get(self, request: Request, namespace: str) -> Response:
        access.check_visible(cast(access.User, request.user), namespace)
        return Response(namespace_body(namespaces.get_now(namespace)))

    @described.change_namespace
    def patch(self, request: Request, namespace: str) -> Response:
        self.check_right(request, namespace, "manage")
        settings = read_object(request.data, allowed=configuring.FIELDS)
        return Response(namespace_body(configuring.change(namespace, settings)))

    @described.delete_namespace
    def delete(self, request: Request, namespace: str) -> Response:
        self.check_right(request, namespace, "manage")
        deleting.delete_namespace(
            namespace, confirm=request.query_params.get("confirm")
        )
        return Response(status=HTTPStatus.NO_CONTENT)
