"""`namespaces`: the control plane."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.utils import translation

from counters import events
from counters.errors import AlreadyExists, OutsideAcceptWindow
from counters.models import Grant, Namespace
from counters.namespaces import access, lookup, settings
from tests.factories import grant
from tests.rest.conftest import Api, answer, problem

DEFAULTS = {
    "description": "",
    "counter_type": "eventual",
    "accept_past_seconds": 86_400,
    "accept_future_seconds": 300,
    "retention_seconds": 30 * 86_400,
    "bucket_size": "minute",
}


def patch(api: Api, body: object, namespace: str = "test") -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.send(
        "PATCH",
        f"namespaces/{namespace}",
        data=data,
        content_type="application/json",
    )


@pytest.fixture
def maker(api: Api) -> Api:
    """The API of a user who may create namespaces."""
    permission = Permission.objects.get(codename="add_namespace")
    User.objects.get().user_permissions.add(permission)
    return api


def test_namespace__is_made_with_defaults(maker: Api) -> None:
    response = maker.post("namespaces", {"name": "new"})

    assert response.status_code == 201
    body = response.json()
    assert body.pop("created_at").endswith("Z")
    assert body == DEFAULTS | {"name": "new"}


GOOD_SETTINGS: dict[str, Any] = {
    "description": "Views of pages.\nOne line more, and ümlauts 🙂.",
    "counter_type": "accurate",
    "accept_past_seconds": 3_600,
    "accept_future_seconds": 0,
    "retention_seconds": 86_400,
    "bucket_size": "day",
}


def test_namespace__is_made_as_asked_and_read(maker: Api) -> None:
    wanted = GOOD_SETTINGS | {"name": "A.new_one-2"}

    made = maker.post("namespaces", wanted).json()
    read = answer(maker.get("namespaces/A.new_one-2"))

    assert made == read
    assert {field: read[field] for field in wanted} == wanted


@pytest.mark.parametrize("field", GOOD_SETTINGS)
def test_namespace__is_changed_field_by_field(api: Api, field: str) -> None:
    before = answer(api.get("namespaces/test"))

    body = answer(patch(api, {field: GOOD_SETTINGS[field]}))

    assert body == before | {field: GOOD_SETTINGS[field]}
    assert answer(api.get("namespaces/test")) == body


def test_namespace__changed_by_nothing_stays(api: Api) -> None:
    before = answer(api.get("namespaces/test"))

    assert answer(patch(api, {})) == before
    assert answer(patch(api, {"name": "test"})) == before


BAD_SETTINGS: dict[str, list[Any]] = {
    "description": [None, 5, "a\0", "\ud800", ["x"]],
    "counter_type": ["", "exact", None, 1, ["eventual"], "Eventual"],
    "accept_past_seconds": [0, -1, 1.5, "60", None, True, 10**12, 31 * 86_400],
    "accept_future_seconds": [-1, 1.5, "60", None, True, 10**12],
    "retention_seconds": [0, -1, 86_399, 1.5, "60", None, True, 10**12],
    "bucket_size": ["", "second", None, 60, {}],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in BAD_SETTINGS.items() for value in values],
)
def test_namespace__names_the_setting_that_is_wrong(
    maker: Api, field: str, value: Any
) -> None:
    before = answer(maker.get("namespaces/test"))

    changed = problem(patch(maker, {field: value}), 400, "invalid")
    made = problem(maker.post("namespaces", {"name": "new", field: value}), 400)

    # An accept window longer than the retention is a matter of both.
    about = {field, "retention_seconds"} if value == 31 * 86_400 else {field}
    assert {changed["field"], made["field"]} <= about
    assert answer(maker.get("namespaces/test")) == before
    assert not Namespace.objects.filter(name="new").exists()


def test_namespace__keeps_its_series_as_coarse_as_they_became(
    api: Api, namespace: Namespace
) -> None:
    """With finer buckets, a day's sum would stand in its first minute."""
    for size in ("hour", "day"):
        answer(patch(api, {"bucket_size": size}))
    for size in ("hour", "minute"):
        body = problem(patch(api, {"bucket_size": size}), 400, "invalid")
        assert body["field"] == "bucket_size"
        assert "is not day: sums that were kept per day" in body["detail"]

        namespace.refresh_from_db()
        namespace.bucket_size = size
        with pytest.raises(ValidationError, match="kept per day"):
            namespace.full_clean()

    assert answer(api.get("namespaces/test"))["bucket_size"] == "day"


def test_namespace__whose_window_and_retention_grow_together_is_changed(
    api: Api,
) -> None:
    both = {"accept_past_seconds": 40 * 86_400, "retention_seconds": 40 * 86_400}

    answer(patch(api, both))

    problem(patch(api, {"retention_seconds": 40 * 86_400 - 1}), 400)
    answer(patch(api, dict.fromkeys(both, 1)))


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "-a",
        ".a",
        "_a",
        "a/b",
        "é",
        "a\n",
        "a\0",
        "x" * 65,
        5,
        ["a"],
        True,
        "\ud800",
        "*",
    ],
)
def test_namespace__names_a_bad_name(maker: Api, name: Any) -> None:
    body = problem(maker.post("namespaces", {"name": name}), 400, "invalid")

    assert body["field"] == "name"
    assert "1 to 64 letters" in body["detail"]


@pytest.mark.parametrize("name", ["x" * 64, "0", "a.b_c-D", "namespaces", "events"])
def test_namespace__of_a_good_name_can_be_used(maker: Api, name: str) -> None:
    assert maker.post("namespaces", {"name": name}).status_code == 201

    answer(maker.add("hits", {"delta": 1}, namespace=name))
    assert answer(maker.get(f"namespaces/{name}"))["name"] == name


def test_namespace__needs_a_name(maker: Api) -> None:
    for body in ({}, {"name": None}):
        assert (
            problem(maker.post("namespaces", body), 400, "missing")["field"] == "name"
        )


@pytest.mark.parametrize("body", [[], 5, None, {"nam": "x"}, {"created_at": "x"}, b"{"])
def test_namespace__refuses_other_bodies(maker: Api, body: object) -> None:
    problem(maker.post("namespaces", body), 400)
    problem(patch(maker, body), 400)


def test_namespace__of_a_name_that_is_taken_is_refused(maker: Api) -> None:
    body = problem(maker.post("namespaces", {"name": "test"}), 409, "already-exists")

    assert body["field"] == "name"
    assert "'test'" in body["detail"]


def test_create__of_a_name_that_is_taken_is_refused_in_every_language(
    namespace: Namespace,
) -> None:
    with translation.override("de"), pytest.raises(AlreadyExists):
        settings.create({"name": "test"})


def test_create__of_a_name_that_is_taken_meanwhile_is_refused(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look for the name and the insert."""
    monkeypatch.setattr(Namespace, "full_clean", lambda _: None)

    with pytest.raises(AlreadyExists):
        settings.create({"name": "test"})


def test_namespace__cannot_be_renamed(api: Api) -> None:
    detail = problem(patch(api, {"name": "other"}), 400)["detail"]

    assert "cannot be changed" in detail
    problem(patch(api, {"name": None}), 400)
    assert Namespace.objects.get().name == "test"


def test_namespace__does_not_leave_its_counts_behind(maker: Api) -> None:
    maker.post("namespaces", {"name": "loose", "counter_type": "best-effort"})

    problem(patch(maker, {"counter_type": "best-effort"}), 400)
    problem(patch(maker, {"counter_type": "eventual"}, "loose"), 400)
    answer(patch(maker, {"counter_type": "best-effort"}, "loose"))


def test_namespace__belongs_to_who_made_it(maker: Api) -> None:
    maker.post("namespaces", {"name": "new"})

    rights = access.rights_in(User.objects.get(), Namespace.objects.get(name="new"))

    assert rights == access.ALL
    answer(patch(maker, {"description": "mine"}, "new"))


def test_namespace__made_by_a_superuser_needs_no_grant(
    api_of: Callable[[User], Api], db: None
) -> None:
    root = api_of(User.objects.create_superuser("root"))

    assert root.post("namespaces", {"name": "new"}).status_code == 201
    assert not Grant.objects.exists()
    answer(root.add("hits", {"delta": 1}, namespace="new"))


def test_namespace__is_made_only_with_the_permission(api: Api) -> None:
    body = problem(api.post("namespaces", {"name": "new"}), 403, "access-denied")

    assert "Django's permission `counters.add_namespace`" in body["detail"]
    assert "'*'" not in body["detail"]
    assert (body["namespace"], body["right"]) == ("*", "create namespaces")
    assert Namespace.objects.count() == 1


def test_namespaces__lists_those_that_the_caller_may_see(
    api: Api, api_of: Callable[[User], Api]
) -> None:
    user = User.objects.create_user("some")
    for name, rights in {"b": "read", "a": "write", "c": "manage", "d": ""}.items():
        grant(Namespace.objects.create(name=name), user, rights)
    Namespace.objects.create(name="e")
    root = User.objects.create_superuser("root")
    nobody = User.objects.create_user("nobody")

    def listed(user: User) -> list[str]:
        body = answer(api_of(user).get("namespaces"))
        return [one["name"] for one in body["results"]]

    assert listed(user) == ["a", "b", "c"]
    assert listed(root) == ["a", "b", "c", "d", "e", "test"]
    assert listed(nobody) == []
    assert answer(api.get("namespaces"))["results"] == [
        answer(api.get("namespaces/test"))
    ]


def test_namespace__changed_is_changed_at_once_in_this_process(api: Api) -> None:
    at = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    body = {"delta": 1, "token": "a", "generation_time": at}
    answer(api.add("hits", body))

    answer(patch(api, {"accept_past_seconds": 3_600}))

    problem(api.add("other", body), 422, "outside-accept-window")


def test_namespace__changed_elsewhere_is_changed_here_within_seconds(
    namespace: Namespace, triggers: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has no way to tell this one; its memory ends by itself."""
    at = datetime.now(UTC) - timedelta(hours=2)

    def add(name: str) -> None:
        events.add(namespace="test", name=name, token="a", generation_time=at)

    add("one")
    # No signal: as another process would.
    Namespace.objects.update(accept_past=timedelta(hours=1))
    add("two")
    now = time.monotonic()
    monkeypatch.setattr("counters.ttl_cache.time.monotonic", lambda: now + 2.0)
    with pytest.raises(OutsideAcceptWindow):
        add("three")


def test_namespace__deleted_elsewhere_is_not_found(
    api: Api, namespace: Namespace
) -> None:
    """This process still remembers it; reading and changing look at the table."""
    answer(api.get("namespaces/test"))
    Grant.objects.all()._raw_delete("default")
    Namespace.objects.all()._raw_delete("default")
    access._memory.keep((User.objects.get().pk, namespace.pk), access.ALL)

    lookup._memory.keep("test", namespace)
    problem(api.get("namespaces/test"), 404, "namespace-not-found")
    lookup._memory.keep("test", namespace)
    problem(patch(api, {"description": "x"}), 404, "namespace-not-found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "namespaces"),
        ("DELETE", "namespaces"),
        ("POST", "namespaces/test"),
        ("PUT", "namespaces/test"),
    ],
)
def test_namespaces__take_no_other_method(api: Api, method: str, path: str) -> None:
    problem(api.send(method, path), 405)


def test_list__comes_in_pages_where_a_limit_is_given(
    api: Api, api_of: Callable[[User], Api]
) -> None:
    user = User.objects.get()
    Namespace.objects.create(name="hidden")
    for name in ("b", "a.1", "A-2", "c_3"):
        grant(Namespace.objects.create(name=name), user, "read")
    everything = answer(api.get("namespaces"))

    pages = []
    path: str | None = "namespaces?limit=2"
    while path is not None:
        page = answer(api.get(path))
        pages.append(page["results"])
        path = page["next"] and page["next"].partition("/api/v1/")[2]

    assert everything["next"] is None
    assert len(everything["results"]) == 5
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one for page in pages for one in page] == everything["results"]
    assert answer(api.get("namespaces?limit=5"))["next"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("cursor=two%20words", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=zzz", "cursor"),
        ("cursor=after:", "cursor"),
    ],
)
def test_list__names_a_bad_limit_or_cursor(api: Api, query: str, field: str) -> None:
    assert problem(api.get(f"namespaces?{query}"), 400, "invalid")["field"] == field
