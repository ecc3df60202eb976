from __future__ import annotations

import pytest
from django.db import OperationalError
from django.test import Client

from counters.models import Namespace
from rollups.models import Rollup
from tests.rest.conftest import Api, problem


def test_get__answers_count_and_freshness(api: Api) -> None:
    api.add("hits", {"delta": 3})

    eventual = api.read("hits").json()
    accurate = api.read("hits", "?accuracy=accurate").json()

    assert eventual.keys() == {
        "namespace",
        "name",
        "count",
        "as_of",
        "pending",
        "accuracy",
        "last_write_at",
    }
    assert (eventual["namespace"], eventual["name"]) == ("test", "hits")
    assert (eventual["count"], eventual["accuracy"], eventual["pending"]) == (
        0,
        "eventual",
        True,
    )
    assert (accurate["count"], accurate["accuracy"], accurate["pending"]) == (
        3,
        "accurate",
        True,
    )
    assert eventual["as_of"].endswith("Z")
    assert eventual["last_write_at"].endswith("Z")


@pytest.mark.parametrize(
    ("total", "sent"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, str(2**53)),
        (-(2**53), str(-(2**53))),
        (2**63 * 3, str(2**63 * 3)),
        (0, 0),
    ],
)
def test_get__sends_a_count_that_javascript_would_round_as_text(
    api: Api, total: int, sent: int | str
) -> None:
    api.add("hits", {"delta": 0})
    counter = Namespace.objects.get().counter_set.get()
    Rollup.objects.create(
        counter=counter, namespace_id=counter.namespace_id, total=total
    )

    assert api.read("hits").json()["count"] == sent


def test_get__names_an_unknown_counter(api: Api) -> None:
    assert "'nothing'" in str(problem(api.read("nothing"), 404)["detail"])


def test_get__names_an_unknown_accuracy(api: Api) -> None:
    api.add("hits", {"delta": 1})

    detail = str(problem(api.read("hits", "?accuracy=exact"), 400)["detail"])

    assert "'exact'" in detail
    assert "eventual, accurate" in detail


@pytest.mark.parametrize("name", ["x" * 201, "\0"])
def test_get__names_a_bad_counter_name(api: Api, name: str) -> None:
    problem(api.read(name), 400)


def test_get__needs_a_token(api: Api) -> None:
    api.headers = {}

    problem(api.read("hits"), 401)


def test_healthz__needs_nothing() -> None:
    response = Client().get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_readyz__says_how_far_folding_lags(api: Api) -> None:
    calm = Client().get("/readyz").json()
    api.add("hits", {"delta": 1})
    pending = Client().get("/readyz").json()

    assert calm == {"status": "ok", "pending": 0, "lag_seconds": 0}
    assert pending["pending"] == 1
    assert pending["lag_seconds"] >= 0


def test_readyz__without_a_database_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise OperationalError("no route")

    monkeypatch.setattr("rollups.rest.health.measure_lag", fail)

    response = Client().get("/readyz")

    assert response.status_code == 503
    assert "no route" not in response.content.decode()
