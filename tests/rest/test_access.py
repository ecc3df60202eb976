"""Who may call what: 401 for nobody, 404 for what one may not see, 403 for a right one lacks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import transaction
from django.test import Client
from knox.models import AuthToken

from counters import ttl_cache
from counters.models import Counter, Event, Grant, Namespace
from counters.namespaces import access, api_tokens, lookup
from tests.factories import grant
from tests.rest.conftest import Api, answer, counter, named, problem

# Call -> the rights that it needs in the namespace `secret`; its method, path, body.
HITS = counter("hits", "secret")
CALLS: dict[str, tuple[str, str, str, object]] = {
    "add": ("write", "POST", f"{HITS}/add", {"delta": 1}),
    "add and get": ("read write", "POST", f"{HITS}/add?get=accurate", {"delta": 1}),
    "clear": ("write", "POST", f"{HITS}/clear", {}),
    "batch": (
        "write",
        "POST",
        "events",
        {"events": [{"namespace": "secret", "name": "hits", "delta": 1}]},
    ),
    "read": ("read", "GET", HITS, None),
    "read accurately": ("read", "GET", f"{HITS}?accuracy=accurate", None),
    "list": ("read", "GET", "namespaces/secret/counters", None),
    "search": ("read", "GET", "namespaces/secret/counters?search=hi", None),
    "series": ("read", "GET", f"{HITS}/series", None),
    "delete a counter": ("manage", "DELETE", f"{HITS}?confirm=hits", None),
    "add by name": (
        "write",
        "POST",
        "namespaces/secret/add",
        {"name": "hits", "delta": 1},
    ),
    "add and get by name": (
        "read write",
        "POST",
        "namespaces/secret/add?get=accurate",
        {"name": "hits", "delta": 1},
    ),
    "clear by name": ("write", "POST", "namespaces/secret/clear", {"name": "hits"}),
    "read many": ("read", "POST", "namespaces/secret/read", {"names": ["hits"]}),
    "series by name": ("read", "GET", "namespaces/secret/series?name=hits", None),
    "total": ("read", "GET", "namespaces/secret/total?name=hits", None),
    "delete a counter by name": (
        "manage",
        "POST",
        "namespaces/secret/delete",
        {"name": "hits", "confirm": "hits"},
    ),
    "delete a counter by query": (
        "manage",
        "DELETE",
        "namespaces/secret/counters?name=hits&confirm=hits",
        None,
    ),
    "see the namespace": ("", "GET", "namespaces/secret", None),
    "change it": ("manage", "PATCH", "namespaces/secret", {"description": "x"}),
    "delete it": ("manage", "DELETE", "namespaces/secret?confirm=secret", None),
}
RIGHTS = ["read", "write", "manage", "read write", "read write manage"]


def call(api: Api, name: str) -> Any:
    _, method, path, body = CALLS[name]
    data = b"" if body is None else json.dumps(body).encode()
    return api.send(method, path, data=data, content_type="application/json")


@pytest.fixture
def secret(db: None, triggers: list[list[int]]) -> Namespace:
    namespace = Namespace.objects.create(name="secret", description="hush")
    Counter.objects.create(namespace=namespace, name="hits")
    return namespace


@pytest.fixture
def somebody(secret: Namespace) -> User:
    """A user with every right in a namespace beside the secret one."""
    user = User.objects.create_user("somebody")
    grant(Namespace.objects.create(name="own"), user, "read write manage")
    return user


@pytest.mark.parametrize("name", CALLS)
def test_call__without_a_token_is_not_authenticated(
    secret: Namespace, name: str
) -> None:
    nobody, wrong = Api(""), Api("wrong")
    nobody.headers = {}

    for api in (nobody, wrong):
        response = call(api, name)
        problem(response, 401)
        assert response["WWW-Authenticate"] == "Token"
        assert b"secret" not in response.content.replace(b'"title"', b"")


@pytest.mark.parametrize("scheme", ["Token", "token", "Bearer", "bearer"])
def test_token__may_be_sent_as_a_bearer_token(api: Api, scheme: str) -> None:
    sent = {"Authorization": api.headers["Authorization"].replace("Token", scheme)}

    assert api.get("namespaces/test", headers=sent).status_code == 200


@pytest.mark.parametrize(
    "sent", [None, "", "{}", "Basic {}", "Bearer", "Bearer {} {}", "Bearer x"]
)
def test_token__that_is_not_there_is_answered_by_how_to_send_it(
    api: Api, sent: str | None
) -> None:
    token = api.headers.pop("Authorization").split()[1]
    headers = {} if sent is None else {"Authorization": sent.format(token, token)}

    body = problem(api.get("namespaces/test", headers=headers), 401)

    assert "Bearer" in body["detail"] or sent == "Bearer x"
    assert token not in body["detail"]


@contextmanager
def cell(name: str) -> Iterator[None]:
    """Undo what the block wrote, and what it remembered; name it where it fails."""
    with named(name), transaction.atomic():
        yield
        transaction.set_rollback(True)
    lookup.forget_all()
    access.forget_all()
    api_tokens.forget_all()


@pytest.mark.parametrize("name", CALLS)
def test_call__without_a_grant_is_answered_as_if_nothing_were_there(
    somebody: User, secret: Namespace, api_of: Callable[[User], Api], name: str
) -> None:
    api = api_of(somebody)
    for how in ("no grant", "an empty grant", "an empty group"):
        with cell(how):
            if how == "an empty grant":
                grant(secret, somebody, "")
            if how == "an empty group":
                group = Group.objects.create(name="all")
                somebody.groups.add(group)
                Grant.objects.create(namespace=secret, group=group)

            there = problem(call(api, name), 404, "namespace-not-found")
            Counter.objects.all().delete()
            Namespace.objects.filter(name="secret").delete()
            missing = problem(call(api, name), 404, "namespace-not-found")

            assert there == missing
            assert not Event.objects.exists()


@pytest.mark.parametrize("name", CALLS)
def test_call__needs_its_rights(
    somebody: User, secret: Namespace, api_of: Callable[[User], Api], name: str
) -> None:
    """Granted to the user, to a group of the user's, or the first of them to the user."""
    api = api_of(somebody)
    group = Group.objects.create(name="team")
    somebody.groups.add(group)
    for rights, by in product(RIGHTS, ["user", "group", "both"]):
        first, _, others = rights.partition(" ")
        by_user = {"user": rights, "group": "", "both": first}[by]
        by_group = {"user": "", "group": rights, "both": others}[by]
        lacking = [r for r in CALLS[name][0].split() if r not in rights.split()]
        with cell(f"{rights} by {by}"):
            if by_user:
                grant(secret, somebody, by_user)
            Grant.objects.create(
                namespace=secret,
                group=group,
                **{f"can_{right}": True for right in by_group.split()},
            )

            response = call(api, name)

            if lacking:
                body = problem(response, 403, "access-denied")
                assert (body["namespace"], body["right"]) == ("secret", lacking[0])
                assert not Event.objects.exists()
            else:
                assert response.status_code in {200, 204}, response.content


@pytest.mark.parametrize("name", CALLS)
def test_call__of_a_superuser_needs_no_grant(
    secret: Namespace, api_of: Callable[[User], Api], name: str
) -> None:
    response = call(api_of(User.objects.create_superuser("root")), name)

    assert response.status_code in {200, 204}, response.content


@pytest.mark.parametrize("right", ["manage", "write"])
def test_call__that_is_denied_tells_nothing_of_the_counters(
    somebody: User, secret: Namespace, api_of: Callable[[User], Api], right: str
) -> None:
    """403 is the same whether the counter is there or not."""
    grant(secret, somebody, right)
    api = api_of(somebody)
    paths = ["", "?accuracy=accurate", "/series"]

    there = [problem(api.get(f"{HITS}{path}"), 403) for path in paths]
    Counter.objects.all().delete()
    missing = [problem(api.get(f"{HITS}{path}"), 403) for path in paths]

    assert there == missing


def test_list__and_search_hold_counters_of_their_namespace_only(
    somebody: User, secret: Namespace, api_of: Callable[[User], Api]
) -> None:
    api = api_of(somebody)
    api.add("hits of my own", {"delta": 1}, namespace="own")

    for query in ("", "?search=hits", "?search=hits&ordering=-name"):
        body = answer(api.get(f"namespaces/own/counters{query}"))
        assert [one["name"] for one in body["results"]] == ["hits of my own"]


def test_cursor__of_another_namespace_shows_nothing_of_it(
    somebody: User, secret: Namespace, api_of: Callable[[User], Api]
) -> None:
    """A cursor is a place, not a right."""
    root = api_of(User.objects.create_superuser("root"))
    Counter.objects.create(namespace=secret, name="more")
    cursor = answer(root.get("namespaces/secret/counters?limit=1"))["next"].split(
        "cursor="
    )[1]
    api = api_of(somebody)
    api.add("zzz", {"delta": 1}, namespace="own")

    body = answer(api.get(f"namespaces/own/counters?limit=1&cursor={cursor}"))

    assert [one["name"] for one in body["results"]] == ["zzz"]
    problem(api.get(f"namespaces/secret/counters?limit=1&cursor={cursor}"), 404)


def test_errors__are_about_access_before_they_are_about_values(
    somebody: User, secret: Namespace, api_of: Callable[[User], Api]
) -> None:
    """Nobody learns from a 400 that a namespace is there."""
    api = api_of(somebody)

    for path, body in {
        f"{HITS}/add": {"delta": "x"},
        f"{HITS}/add?get=nonsense": {"delta": 1},
        f"{HITS}/clear": {"x": 1},
    }.items():
        problem(api.post(path, body), 404)
    for path in (
        f"{HITS}?accuracy=x",
        f"{HITS}/series?bucket=x",
        "namespaces/secret/counters?ordering=x",
        "namespaces/secret/counters?cursor=x",
    ):
        problem(api.get(path), 404)
    problem(api.send("DELETE", HITS), 404)
    problem(api.send("DELETE", "namespaces/secret"), 404)


def test_rights__of_an_anonymous_user_are_none(secret: Namespace) -> None:
    """A group's grant has no user either."""
    group = Group.objects.create(name="team")
    Grant.objects.create(namespace=secret, group=group, can_read=True)

    assert access.rights_in(AnonymousUser(), secret) == access.Rights()
    assert not access.visible_to(AnonymousUser()).exists()


def test_rights__of_a_bare_user_model_are_those_of_its_grants(
    somebody: User, secret: Namespace
) -> None:
    """Without PermissionsMixin a model has no groups, no superusers and no permissions."""
    bare: Any = SimpleNamespace(pk=somebody.pk)
    grant(secret, somebody, "read")

    assert access.rights_in(bare, secret) == access.Rights(read=True)
    assert secret in access.visible_to(bare)
    assert not access.may_create_namespaces(bare)


def test_grant__given_or_taken_counts_at_once_in_this_process(
    somebody: User, secret: Namespace, api_of: Callable[[User], Api]
) -> None:
    api = api_of(somebody)
    problem(api.get(HITS), 404)

    grant(secret, somebody, "read")
    answer(api.get(HITS))
    Grant.objects.get(namespace=secret).delete()
    problem(api.get(HITS), 404)


@pytest.fixture
def seconds_pass(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets what each process remembers grow old."""
    begun = time.monotonic()
    passed = [0.0]
    monkeypatch.setattr("counters.ttl_cache.time.monotonic", lambda: begun + passed[0])

    def go_on() -> None:
        passed[0] += ttl_cache.REMEMBERED_SECONDS

    return go_on


@pytest.mark.parametrize("how", ["grant", "group", "token", "user", "superuser"])
def test_right__taken_elsewhere_is_gone_within_seconds(
    somebody: User,
    secret: Namespace,
    api_of: Callable[[User], Api],
    seconds_pass: Callable[[], None],
    how: str,
) -> None:
    """Another process cannot tell this one; its memory ends by itself."""
    group = Group.objects.create(name="team")
    match how:
        case "group":
            somebody.groups.add(group)
            Grant.objects.create(namespace=secret, group=group, can_read=True)
        case "superuser":
            User.objects.filter(pk=somebody.pk).update(is_superuser=True)
        case _:
            grant(secret, somebody, "read")
    api = api_of(somebody)
    answer(api.get(HITS))

    # No signals: as another process would.
    match how:
        case "grant":
            Grant.objects.filter(namespace=secret)._raw_delete("default")
        case "group":
            User.groups.through.objects.all()._raw_delete("default")
        case "token":
            AuthToken.objects.all()._raw_delete("default")
        case "user":
            User.objects.filter(pk=somebody.pk).update(is_active=False)
        case "superuser":
            User.objects.filter(pk=somebody.pk).update(is_superuser=False)
    seconds_pass()

    problem(api.get(HITS), 401 if how in {"token", "user"} else 404)


def test_token__expires(somebody: User, triggers: list[list[int]]) -> None:
    now = datetime.now(UTC)
    _, token = AuthToken.objects.create(somebody, expiry=timedelta(minutes=10))
    api = Api(str(token))

    with time_machine.travel(now + timedelta(minutes=9), tick=False):
        assert api.get("namespaces").status_code == 200
    api_tokens.forget_all()
    with time_machine.travel(now + timedelta(minutes=11), tick=False):
        problem(api.get("namespaces"), 401)


def test_token__is_kept_as_a_digest_only(somebody: User) -> None:
    kept, token = AuthToken.objects.create(somebody)

    fields = [str(getattr(kept, field.name)) for field in AuthToken._meta.fields]
    assert not any(token in value for value in fields)


# --- Sessions ------------------------------------------------------------------------


@pytest.fixture
def browser(somebody: User) -> Client:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(somebody)
    return client


def post_add(browser: Client, **headers: str) -> Any:
    path = f"/api/v1/{counter('hits', 'own')}/add"
    return browser.post(
        path,
        {"delta": 1},
        content_type="application/json",
        headers=headers,
        RAW_URI=path,
    )


def test_session__reads_without_a_csrf_token(browser: Client) -> None:
    body = answer(browser.get("/api/v1/namespaces"))

    assert [one["name"] for one in body["results"]] == ["own"]


def test_session__without_a_csrf_token_writes_nothing(browser: Client) -> None:
    body = problem(post_add(browser), 403, "permission-denied")

    assert "CSRF" in body["detail"]
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("method", "query"), [("patch", ""), ("delete", "?confirm=own")]
)
def test_session__without_a_csrf_token_changes_nothing(
    browser: Client, method: str, query: str
) -> None:
    send = getattr(browser, method)

    problem(
        send(f"/api/v1/namespaces/own{query}", {}, content_type="application/json"),
        403,
    )

    assert Namespace.objects.filter(name="own").exists()


def test_session__with_a_csrf_token_writes(browser: Client) -> None:
    token = "c" * 32
    browser.cookies["csrftoken"] = token

    assert answer(post_add(browser, **{"X-CSRFToken": token}))["duplicate"] is False
    problem(post_add(browser, **{"X-CSRFToken": "d" * 32}), 403)


def test_token__needs_no_csrf_token_though_a_session_is_there(
    browser: Client, somebody: User
) -> None:
    _, token = AuthToken.objects.create(somebody)

    answer(post_add(browser, Authorization=f"Token {token}"))
