from __future__ import annotations

import json
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from counters_project.wsgi import application

PATHS = ["/api/v1/namespaces/test/counters/hits", "/readyz", "/admin/login/", "/"]


def call(path: str, parameter: str) -> tuple[str, bytes]:
    """Send what a server would pass on; return the status and the body."""
    environ: dict[str, Any] = {
        "PATH_INFO": path,
        "QUERY_STRING": "accuracy=accurate",
        "CONTENT_TYPE": f"application/json; {parameter}",
    }
    setup_testing_defaults(environ)
    started: list[str] = []

    def start(status: str, headers: Any, exc_info: Any = None) -> Any:
        started.append(status)

    body = b"".join(application(environ, start))
    return started[0], body


@pytest.mark.parametrize(
    "charset", ["zlib", "hex", "base64", "bz2", "rot13", "a\0b", "undefined"]
)
@pytest.mark.parametrize("path", PATHS)
def test_charset__that_is_no_encoding_of_text_is_refused(
    db: None, path: str, charset: str
) -> None:
    status, body = call(path, f"charset={charset}")

    assert status == "415 Unsupported Media Type"
    problem = json.loads(body)
    assert problem["code"] == "unsupported-media-type"
    assert repr(charset) in problem["detail"]


@pytest.mark.parametrize("charset", ["", "utf-8", "latin-1", "nonsense", "é", '"'])
def test_charset__of_text_or_of_nothing_is_taken(db: None, charset: str) -> None:
    assert call("/healthz", f"charset={charset}")[0] == "200 OK"


def test_charset__that_cannot_be_read_is_no_error_of_the_server(db: None) -> None:
    """RFC 2231 puts two quotes in; some releases of Django raise at what is before them."""
    for parameter in ("charset*=nonsense''x", "charset*=zlib''x", "charset*=''zlib"):
        status, _ = call("/healthz", parameter)

        assert status in {"200 OK", "415 Unsupported Media Type"}
