"""`POST namespaces/{ns}/counters/{name}/clear` and `POST namespaces/{ns}/clear`."""

from __future__ import annotations

from typing import cast

from rest_framework.request import Request
from rest_framework.response import Response

from counters.errors import InvalidValue
from counters.json_values import read_time
from counters.namespaces import access
from counters.recording import names
from counters.rest.base import CountersView, token_of
from counters.rest.parsers import read_named
from rollups.reading import clear
from rollups.rest import descriptions
from rollups.rest.responses import cleared_body

FIELDS = frozenset({"token", "generation_time"})


class ClearView(CountersView):
    """Set a counter to 0; a duplicate clears nothing."""

    @descriptions.clear
    def post(
        self, request: Request, namespace: str, name: str | None = None
    ) -> Response:
        found = self.check_right(request, namespace, "write")
        fields = read_named(request.data, name, allowed=FIELDS)
        token = token_of(request, fields.get("token"))
        if token is not None and not isinstance(token, str):
            raise InvalidValue("token", token, "text")
        checked = names.check(fields["name"])
        cleared = clear.clear(
            namespace=namespace,
            name=checked,
            token=token,
            generation_time=read_time("generation_time", fields.get("generation_time")),
        )
        rights = access.rights_in(cast(access.User, request.user), found)
        body = cleared_body(cleared, may_read=rights.read)
        return Response(self.named(checked, name, body))


class ClearByNameView(ClearView):
    """ClearView with the counter's name in the body."""

    @descriptions.clear_by_name
    def post(
        self, request: Request, namespace: str, name: str | None = None
    ) -> Response:
        return super().post(request, namespace)
