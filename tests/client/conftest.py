"""The client on the real application, in the test's own transaction and thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from fold_counters_client import Client
from knox.models import AuthToken

from counters.models import Namespace
from counters_project.wsgi import application


class ApplicationTransport(httpx.WSGITransport):
    """Hands the application the path as it was sent, as gunicorn does."""

    def __init__(self) -> None:
        super().__init__(app=self._answer)
        self._raw = ""
        # Outcomes of the next requests: lost on the way back, or there.
        self.lose_answers = 0
        # Like a proxy that changes the calls.
        self.merge_slashes = False
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.merge_slashes:
            request = self._merged(request)
        self._raw = request.url.raw_path.decode()
        response = super().handle_request(request)
        if self.lose_answers:
            # The service has done it; nobody hears of it.
            self.lose_answers -= 1
            raise httpx.ReadTimeout("lost", request=request)
        return response

    def _merged(self, request: httpx.Request) -> httpx.Request:
        content = request.content.replace(b"//", b"/")
        url = str(request.url).replace("%2F%2F", "%2F")
        headers = {**request.headers, "Content-Length": str(len(content))}
        return httpx.Request(request.method, url, headers=headers, content=content)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        # PEP 3333: the path's bytes, as Latin-1.
        path = environ["PATH_INFO"].encode().decode("latin-1")
        environ = {**environ, "PATH_INFO": path, "RAW_URI": self._raw}
        return application(environ, start_response)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collects the seconds that the client would have slept."""
    waited: list[float] = []
    monkeypatch.setattr("fold_counters_client.concurrency.time.sleep", waited.append)
    return waited


@pytest.fixture
def transport(triggers: list[list[int]]) -> Iterator[ApplicationTransport]:
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield ApplicationTransport()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def client(transport: ApplicationTransport, namespace: Namespace) -> Client:
    return make_client(transport)


@pytest.fixture
def committing_client(
    transport: ApplicationTransport, committed_namespace: Namespace
) -> Client:
    """Its adds are committed, so they can be folded."""
    return make_client(transport)


def make_client(transport: ApplicationTransport) -> Client:
    user = User.objects.create_superuser("machine")
    token = str(AuthToken.objects.create(user)[1])
    return Client("http://localhost", token, transport=transport)


@pytest.fixture
def answering() -> Callable[..., Client]:
    """Returns a client that gets these outcomes, one after the other."""

    def make(*outcomes: httpx.Response | Exception, **options: Any) -> Client:
        left = iter(outcomes)

        def answer(request: httpx.Request) -> httpx.Response:
            outcome = next(left)
            if isinstance(outcome, Exception):
                raise outcome
            outcome.request = request
            return outcome

        transport = httpx.MockTransport(answer)
        return Client("http://test", "secret", transport=transport, **options)

    return make
