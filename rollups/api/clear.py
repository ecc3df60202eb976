"""`POST namespaces/{ns}/counters/{name}/clear`."""

from __future__ import annotations

from typing import cast

from rest_framework.request import Request
from rest_framework.response import Response

from counters import access
from counters.api.parsers import read_object, read_time
from counters.api.views import CountersView, token_of
from counters.errors import InvalidValue
from rollups import clearing
from rollups.api import described
from rollups.api.shapes import cleared_body

FIELDS = frozenset({"token", "generation_time"})


class ClearView(CountersView):
    """Set a counter to 0; a repeat of a token clears nothing."""

    @described.clear
    def post(self, request: Request, namespace: str, name: str) -> Response:
        found = self.check_right(request, namespace, "write")
        body = read_object(request.data, allowed=FIELDS)
        token = token_of(request, body.get("token"))
        if token is not None and not isinstance(token, str):
            raise InvalidValue("token", token, "text")
        cleared = clearing.clear(
            namespace=namespace,
            name=name,
            token=token,
            generation_time=read_time("generation_time", body.get("generation_time")),
        )
        rights = access.rights_in(cast(access.User, request.user), found)
        return Response(cleared_body(cleared, may_read=rights.read))
