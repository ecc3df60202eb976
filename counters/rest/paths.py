"""Read counter names with slashes and percent signs from URL paths.

A WSGI server decodes the path before Django sees it: `counters/a%2Fadd` would be the add of
counter `a`, not counter `a/add`. So the middleware reads the path as it was sent, if the server
passes it on, and decodes all but `%2F` and `%25`. The converter decodes these two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, unquote_to_bytes, urlsplit

from django.http import HttpRequest, HttpResponse
from django.urls import register_converter

# Only these paths contain a counter's name.
NAMED = re.compile(r"/namespaces/[^/]+/counters/")


class CounterNameInPath:
    """Middleware that tells `%2F` and `%25` from `/` and `%` in counter paths."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if NAMED.search(request.path_info):
            request.path_info = self._half_decoded(request)
        return self.get_response(request)

    def _half_decoded(self, request: HttpRequest) -> str:
        raw = raw_path(request)
        if raw is None:
            # The server does not pass it on, so every slash separates parts of the path.
            return request.path_info.replace("%", "%25")
        kept = re.sub(r"%(2[fF]|25)", lambda found: f"%25{found[1]}", raw)
        # Bytes that are not UTF-8 become surrogates, which no counter name may hold.
        return unquote_to_bytes(kept).decode(errors="surrogateescape")


def raw_path(request: HttpRequest) -> str | None:
    """Return the path as it was sent, or None if the server does not pass it on."""
    # ASGI; gunicorn; uWSGI, mod_wsgi and others.
    scope = getattr(request, "scope", None)
    if scope is not None and scope.get("raw_path"):
        return str(scope["raw_path"].decode("latin-1"))
    target = request.META.get("RAW_URI") or request.META.get("REQUEST_URI")
    if not target:
        return None
    path = (
        urlsplit(target).path if "://" in target.split("?")[0] else target.split("?")[0]
    )
    script_name = request.META.get("SCRIPT_NAME", "")
    return str(path.removeprefix(script_name))


class CounterNameConverter:
    """Convert a counter's name in a URL pattern: any text. The view checks it."""

    # (?s): a name with a line feed must reach the check, whose error names it.
    regex = "(?s:.*)"

    def to_python(self, value: str) -> str:
        return value.replace("%2F", "/").replace("%2f", "/").replace("%25", "%")

    def to_url(self, value: str) -> str:
        # Django's reverse() quotes the result once more.
        return value.replace("%", "%25").replace("/", "%2F")


register_converter(CounterNameConverter, "counter_name")
# The path of a counter, for URL patterns. Importing it registers the converter.
COUNTER = "namespaces/<str:namespace>/counters/<counter_name:name>"


def counter_path(namespace: str, name: str) -> str:
    """Return a counter's path below the API's root, percent-encoded."""
    return f"namespaces/{quote(namespace, safe='')}/counters/{quote(name, safe='')}"
