from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import OperationalError

from counters.models import Event, LastWrite
from tests.factories import every_kind
from tests.rest.conftest import Api, counter, problem


def test_add__answers_token_and_event_time(api: Api) -> None:
    response = api.add("hits", {"delta": 3})

    assert response.status_code == 200
    body = response.json()
    assert body.keys() == {"token", "event_time", "duplicate"}
    assert body["token"] is None
    assert body["event_time"].endswith("Z")
    assert body["duplicate"] is False
    assert Event.objects.get().delta == 3


@every_kind
@pytest.mark.parametrize("where", ["body", "header"])
def test_add__answers_a_repeat_with_the_first_event(
    api: Api, token: str, where: str
) -> None:
    body = {"delta": 3} | ({"token": token} if where == "body" else {})
    headers = {"Idempotency-Key": token} if where == "header" else {}

    first = api.add("hits", body, headers=headers).json()
    again = api.add("hits", body, headers=headers)

    assert again.status_code == 200
    assert again.json() == {**first, "duplicate": True}
    assert Event.objects.count() == 1


def test_add__refuses_a_token_with_another_delta(api: Api) -> None:
    api.add("hits", {"delta": 3, "token": "order 17"})

    body = problem(api.add("hits", {"delta": 4, "token": "order 17"}), 409)

    assert (body["first_delta"], body["delta"], body["token"]) == (3, 4, "order 17")
    assert Event.objects.get().delta == 3


def test_add__refuses_a_header_that_contradicts_the_body(api: Api) -> None:
    response = api.add(
        "hits", {"delta": 3, "token": "a"}, headers={"Idempotency-Key": "b"}
    )

    assert "'b'" in str(problem(response, 400)["detail"])


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ('"abc"', "abc"),
        ("abc", "abc"),
        ('"a,b"', "a,b"),
        (r'"a\\b\"c"', 'a\\b"c'),
    ],
)
def test_add__takes_a_header_that_is_a_quoted_string(
    api: Api, header: str, token: str
) -> None:
    first = api.add("hits", {"delta": 3, "token": token}).json()
    by_header = api.add("hits", {"delta": 3}, headers={"Idempotency-Key": header})
    by_both = api.add(
        "hits", {"delta": 3, "token": token}, headers={"Idempotency-Key": header}
    )

    assert by_header.json() == by_both.json() == {**first, "duplicate": True}
    assert Event.objects.count() == 1


def test_add__takes_a_uuid_in_another_case_in_the_header(api: Api) -> None:
    token = "019b76da-a800-4000-8000-0123456789ab"

    added = api.add(
        "hits",
        {"delta": 3, "token": token},
        headers={"Idempotency-Key": token.upper()},
    )
    again = api.add("hits", {"delta": 3, "token": token})

    assert added.status_code == 200
    assert again.json()["duplicate"]


@pytest.mark.parametrize(
    "header",
    [
        '"abc',
        '"a"b"',
        '"a";x=1',
        '"a", "b"',
        "a,b",
        "a, a",
        "ü",
        '"ü"',
        "",
        '""',
        " ",
        '"  "',
        "a\tb",
    ],
)
def test_add__refuses_a_header_that_is_no_single_token(api: Api, header: str) -> None:
    """A server joins a header that is sent twice with a comma."""
    for call, body in (("add", {"delta": 3}), ("clear", {})):
        api.add("hits", {"delta": 0, "token": "first"})
        answer = api.post(
            f"{counter('hits')}/{call}", body, headers={"Idempotency-Key": header}
        )
        assert problem(answer, 400)["field"] in {"Idempotency-Key", "token"}

    assert Event.objects.count() == 1


@pytest.mark.parametrize("number", [b"5.0", b"5e0", b"0.5E+1", b"500e-2"])
def test_add__takes_a_whole_number_written_with_a_point_or_an_exponent(
    api: Api, number: bytes
) -> None:
    api.add("hits", b'{"delta": %s}' % number)
    api.add("huge", b'{"delta": 9223372036854775807.0}')

    assert [event.delta for event in Event.objects.order_by("pk")] == [5, 2**63 - 1]


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "x" * 100])
def test_add__refuses_a_body_that_says_it_is_compressed(
    api: Api, encoding: str
) -> None:
    plain = b'{"delta": 1}'
    for data in (plain, gzip.compress(plain)):
        refused = api.add("hits", data, headers={"Content-Encoding": encoding})

        body = problem(refused, 415, "unsupported-media-type")
        assert encoding[:40] in body["detail"]
        assert refused["Accept-Encoding"] == "identity"

    assert not Event.objects.exists()
    sent = api.add("hits", plain, headers={"Content-Encoding": "identity"})
    assert sent.status_code == 200


def test_add__takes_a_generation_time(api: Api) -> None:
    at = (datetime.now(UTC) - timedelta(hours=2)).isoformat()

    response = api.add("hits", {"delta": 3, "token": "a", "generation_time": at})

    assert response.json()["event_time"] == at.replace("+00:00", "Z")


def test_add__answers_in_utc_whatever_the_offset_of_the_time(api: Api) -> None:
    at = datetime.now(timezone(timedelta(hours=5, minutes=30)))
    body = {"delta": 3, "token": "a", "generation_time": at.isoformat()}

    first = api.add("hits", body).json()["event_time"]

    assert first.endswith("Z")
    assert datetime.fromisoformat(first) == at
    assert api.add("hits", body).json()["event_time"] == first


def test_add__sends_large_deltas_of_a_conflict_as_text(api: Api) -> None:
    api.add("hits", {"delta": 2**63 - 1, "token": "a"})

    body = problem(api.add("hits", {"delta": 2**53, "token": "a"}), 409)

    assert (body["first_delta"], body["delta"]) == (str(2**63 - 1), str(2**53))


def test_add__states_the_accept_window(api: Api) -> None:
    at = "2001-02-03T04:05:06Z"

    body = problem(
        api.add("hits", {"delta": 1, "token": "a", "generation_time": at}), 422
    )

    assert body["event_time"] == at
    assert {"accepted_from", "accepted_until"} <= body.keys()


BAD_BODIES = {
    "delta missing": ({}, "delta: missing"),
    "delta 0.5": ({"delta": 0.5}, "0.5"),
    "delta text": ({"delta": "3"}, "'3'"),
    "delta text 2^53-1": ({"delta": str(2**53 - 1)}, f"'{2**53 - 1}'"),
    "delta text 2^63": ({"delta": str(2**63)}, str(2**63)),
    "delta text with zeros": ({"delta": f"0{2**53}"}, f"'0{2**53}'"),
    "delta text with a sign": ({"delta": f"+{2**53}"}, f"'+{2**53}'"),
    "delta text of other digits": ({"delta": "٣" * 17}, "٣"),
    "delta true": ({"delta": True}, "delta: true is"),
    "delta 5 as text": ({"delta": "5"}, "'5' is not a number without quotes"),
    "delta infinite": (b'{"delta": 1e400}', "delta: 1E+400 is"),
    "delta without end": (b'{"delta": 1e99999999999999999999}', "out of range"),
    "delta nearly whole": (b'{"delta": 9007199254740991.4}', "9007199254740991.4 is"),
    "delta twice": (b'{"delta": 1, "delta": 2}', "'delta' is given twice"),
    "token false": ({"delta": 1, "token": False}, "token: false"),
    "delta null": ({"delta": None}, "delta: missing"),
    "delta 10^30": ({"delta": 10**30}, "1" + "0" * 30),
    "delta list": ({"delta": [True, None]}, "[true, null]"),
    "unknown field": ({"delta": 1, "tokn": "x"}, "'tokn'"),
    "token number": ({"delta": 1, "token": 7}, "token: 7"),
    "token empty": ({"delta": 1, "token": ""}, "token: ''"),
    "token of spaces": ({"delta": 1, "token": "  "}, "token: '  ' is not a token"),
    "token NUL": ({"delta": 1, "token": "\0"}, "token: '\\x00'"),
    "token surrogate": (b'{"delta": 1, "token": "\\ud800"}', "token: '\\ud800'"),
    "time without offset": (
        {"delta": 1, "generation_time": "2026-01-01T00:00:00"},
        "2026-01-01T00:00:00",
    ),
    "time nonsense": ({"delta": 1, "generation_time": "yesterday"}, "'yesterday'"),
    "time number": ({"delta": 1, "generation_time": 5}, "generation_time: 5"),
    "time before the year 1": (
        {"delta": 1, "generation_time": "0001-01-01T00:00:00+14:00"},
        "0001-01-01",
    ),
    "time out of range": (
        {"delta": 1, "generation_time": "2026-13-01T00:00:00Z"},
        "2026-13-01",
    ),
    "not an object": ([1], "[1]"),
    "null": (None, "body: null"),
    "malformed": (b"{", "JSON parse error"),
    "empty": (b"", "delta: missing"),
    "NaN": (b'{"delta": NaN}', "JSON parse error"),
    "not UTF-8": (b'{"delta": 1, "token": "\xff"}', "JSON parse error"),
    "too deep": (b"[" * 60_000, "JSON parse error"),
    "5,000 digits": (b'{"delta": -' + b"1" * 5_000 + b"}", f"from {-(2**63)} to"),
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_add__names_what_is_wrong_with_the_body(api: Api, case: str) -> None:
    body, named = BAD_BODIES[case]

    detail = str(problem(api.add("hits", body), 400)["detail"])

    assert named in detail
    assert not Event.objects.exists()


@pytest.mark.parametrize("call", ["add", "clear"])
def test_body__of_unknown_length_is_refused_not_ignored(api: Api, call: str) -> None:
    api.add("hits", {"delta": 3})

    # Of a chunked body the server passes on no length, and Django then reads nothing.
    refused = api.post(
        f"{counter('hits')}/{call}",
        {"token": "order 17"},
        headers={"Transfer-Encoding": "chunked"},
        CONTENT_LENGTH="",
    )

    problem(refused, 411, "length-required")
    assert Event.objects.count() == 1


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "\0", "\x7f", "\x85"])
def test_add__names_a_bad_counter_name(api: Api, name: str) -> None:
    detail = str(problem(api.add(name, {"delta": 1}), 400)["detail"])

    assert detail.startswith("name: ")
    assert "1 to 200 visible characters" in detail or "is invisible" in detail


def test_add__refuses_a_path_that_is_not_utf8(api: Api) -> None:
    refused = problem(api.post("namespaces/test/counters/%FF/add", {"delta": 1}), 400)
    assert "a byte that is not UTF-8" in refused["detail"]


NAMES = [
    "hits",
    "a/b",
    "a/add",
    "add",
    "/",
    "//",
    "100%",
    "%2F",
    "%252F",
    "a%2fadd",
    "a?b#c",
    "a+b c",
    "☃🙂",
    "..",
    "x" * 200,
    "é" * 200,
    "series",
    "a/clear",
    ";v=1",
    "'; DROP TABLE--",
]


@pytest.mark.parametrize("name", NAMES)
def test_counter__of_any_name_is_added_to_and_read(api: Api, name: str) -> None:
    assert api.add(name, {"delta": 2}).status_code == 200

    response = api.read(name, "?accuracy=accurate")

    assert response.status_code == 200
    assert (response.json()["name"], response.json()["count"]) == (name, 2)


def test_counters__whose_names_differ_in_encoding_only_are_different(api: Api) -> None:
    for delta, name in enumerate(NAMES, start=1):
        api.add(name, {"delta": delta})

    counts = [api.read(name, "?accuracy=accurate").json()["count"] for name in NAMES]

    assert counts == list(range(1, len(NAMES) + 1))


def test_add__takes_a_slash_that_is_not_encoded(api: Api) -> None:
    assert api.post("namespaces/test/counters/a/b/add", {"delta": 2}).status_code == 200

    assert api.read("a/b", "?accuracy=accurate").json()["count"] == 2


@pytest.mark.parametrize("unknown", ["nowhere", "no where", "%", "é", "\0"])
def test_add__names_an_unknown_namespace(api: Api, unknown: str) -> None:
    problem(api.add("hits", {"delta": 1}, namespace=unknown), 404)


@pytest.mark.parametrize(
    "authorization", ["", "Token", "Token wrong", "Token a b", "Bearer x", "Token \xe9"]
)
def test_add__needs_a_token(api: Api, authorization: str) -> None:
    response = api.add("hits", {"delta": 1}, headers={"Authorization": authorization})

    problem(response, 401)
    assert response["WWW-Authenticate"] == "Token"
    assert not Event.objects.exists()


def test_add__of_a_form_says_what_to_send(api: Api) -> None:
    response = api.send(
        "POST", f"{counter('hits')}/add", data="delta=1", content_type="text/plain"
    )

    assert "text/plain" in str(problem(response, 415)["detail"])


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_add__refuses_other_methods(api: Api, method: str) -> None:
    problem(api.send(method, f"{counter('hits')}/add"), 405)


def test_add__without_a_database_asks_to_try_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("counters.recording.record._append", fail)

    response = api.add("hits", {"delta": 1})

    assert "same token" in str(problem(response, 503)["detail"]).replace("\n", " ")
    assert response["Retry-After"] == "1"


def test_error__that_nobody_foresaw_is_a_problem_too(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("counters.recording.record._append", fail)

    body = problem(api.add("hits", {"delta": 1}), 500)

    assert "ZeroDivisionError" not in json.dumps(body)


def test_path__that_nothing_serves_is_a_problem(api: Api) -> None:
    problem(api.get("nothing/here"), 404)


def test_add__commits_before_it_answers(api: Api) -> None:
    api.add("hits", {"delta": 1})

    assert LastWrite.objects.get().counter_id == Event.objects.get().counter_id
