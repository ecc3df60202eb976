"""Requests whose charset is no encoding of text, refused before Django reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.utils.http import parse_header_parameters

from counters.rest.parsers import is_no_text
from counters.rest.problems import MEDIA_TYPE, problem

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication

_LONGEST_SHOWN = 40


class TextCharset:
    """WSGI middleware that refuses a charset such as `zlib`, which Python's codecs know too.

    Django decodes the query with it while it makes the request, where no middleware of its
    own and no error page is yet: the server would answer 500, to anybody.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(
        self, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        content_type = environ.get("CONTENT_TYPE", "")
        try:
            _, parameters = parse_header_parameters(content_type)
        except ValueError:
            # Django itself would raise it again, and answer 500.
            return _refuse(content_type, start_response)
        charset = parameters.get("charset", "")
        # One that nobody knows Django passes over.
        if is_no_text(charset):
            return _refuse(charset, start_response)
        return self._application(environ, start_response)


def _refuse(charset: str, start_response: StartResponse) -> Iterable[bytes]:
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    body = problem(
        status,
        "unsupported-media-type",
        f"The charset {charset[:_LONGEST_SHOWN]!r} is no encoding of text; use utf-8.",
    )
    content = json.dumps(body).encode()
    start_response(
        f"{status.value} {status.phrase}",
        [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(content)))],
    )
    return [content]
