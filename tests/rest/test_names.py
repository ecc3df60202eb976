"""Counter names in the API: names that look the same are one name."""

from __future__ import annotations

from urllib.parse import quote

from tests.rest.conftest import Api, answer, problem

# One name, typed as one character and as a letter with an accent.
COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def test_name__is_one_however_it_is_typed(api: Api) -> None:
    answer(api.add(DECOMPOSED, {"delta": 2}))
    event = {"namespace": "test", "name": COMPOSED, "delta": 3}
    answer(api.post("events", {"events": [event]}))

    read = answer(api.read(DECOMPOSED, "?accuracy=accurate"))
    search = quote(DECOMPOSED)
    [listed] = answer(api.get(f"namespaces/test/counters?search={search}"))["results"]

    assert (read["name"], read["count"]) == (COMPOSED, 5)
    assert listed["name"] == COMPOSED


def test_name__that_cannot_be_seen_is_refused(api: Api) -> None:
    for name, fault in (("a\u200bb", "U+200B"), ("a ", "without a space")):
        event = {"namespace": "test", "name": name, "delta": 1}
        for refused in (
            api.add(name, {"delta": 1}),
            api.read(name),
            api.post("events", {"events": [event]}),
        ):
            body = problem(refused, 400, "invalid")
            assert body["field"] == "name"
            assert fault in body["detail"]
