"""The web server as `make run` starts it, on this test run's database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from knox.models import AuthToken
from pytest_django import DjangoDbBlocker

from counters_project.runner.command_lines import Environment, web
from rollups.models import Process
from tests.acceptance.conftest import free_port
from tests.programs import running, test_database_url, wait_until
from tests.rest.conftest import api, api_of  # noqa: F401 - fixtures


@dataclass(frozen=True)
class Server:
    """A web server, a token that may do everything, and where it logs."""

    url: str
    port: int
    token: str
    log: Path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.token}"}

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def server(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("server")
    port = free_port()
    with django_db_blocker.unblock():
        user = User.objects.create_superuser("over-the-wire")
        token = str(AuthToken.objects.create(user)[1])
        environment = Environment(
            data_dir=directory,
            database_url=test_database_url(),
            broker_url=settings.CELERY_BROKER_URL,
            cache_url=settings.CACHE_URL,
            allowed_hosts="127.0.0.1",
        )
        program = web(environment, bind=f"127.0.0.1:{port}")
        made = Server(f"http://127.0.0.1:{port}", port, token, directory / "log")
        variables = os.environ | program.env | {"WEB_THREADS": "4"}
        with running([*program.argv[1:]], made.log, variables):
            wait_until(made.answers, f"the web server does not answer: {made.log}")
            yield made
        User.objects.filter(username="over-the-wire").delete()
        # Its processes have reported themselves; other tests look for theirs alone.
        Process.objects.all().delete()
