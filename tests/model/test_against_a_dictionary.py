"""The whole API against a plain dictionary: any calls in any order, the same answers.

Hypothesis makes the orders up. The model knows nothing of events, folds or snapshots: a
count is a number, a token is a key. `HYPOTHESIS_PROFILE=long` looks for longer.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from knox.models import AuthToken

from counters.models import Counter, Event, LastWrite, Namespace
from counters.namespaces import deletion, lookup
from counters.recording import tokens
from rollups.folding import fold, sweep
from rollups.models import Bucket, Rollup
from tests.api.conftest import Api, answer, counter, grant, problem

QUICK = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
PROFILES = {
    "quick": QUICK,
    "long": settings(QUICK, max_examples=1_000, stateful_step_count=80),
}

SPACES = ("one", "two")
# Few, so that they meet again: on the same counter, with another delta, in a batch.
KEYS = (("one", "hits"), ("one", "a/b 100%"), ("two", "hits"))
TOKENS = ("order 17", tokens.new().text)
DELTAS = st.sampled_from([1, -1, 0, 2**53, 2**63 - 1, -(2**63)])
A_COUNTER = st.sampled_from(KEYS)
A_TOKEN = st.none() | st.sampled_from(TOKENS)
AN_EVENT = st.tuples(A_COUNTER, DELTAS, A_TOKEN)
Key = tuple[str, str]


@dataclass
class Modelled:
    """A counter as the model has it."""

    count: int = 0
    # What eventual reads may say: the counts since the last fold, that one's included.
    eventual: list[int] = field(default_factory=lambda: [0])
    events: int = 0
    pending: bool = False
    added: dict[str, int] = field(default_factory=dict)
    cleared: set[str] = field(default_factory=set)

    def add(self, delta: int, token: str | None) -> str:
        """Return `new`, `repeat` or `conflict`."""
        if token in self.added:
            return "repeat" if self.added[token] == delta else "conflict"
        if token is not None:
            self.added[token] = delta
        self.change(delta)
        return "new"

    def change(self, delta: int, events: int = 1) -> None:
        self.count += delta
        self.events += events
        self.pending = True


class Whole(RuleBasedStateMachine):
    """Every call that changes or reads counters."""

    def __init__(self) -> None:
        super().__init__()
        self.model: defaultdict[Key, Modelled] = defaultdict(Modelled)
        # Counters whose last fold crashed half-way.
        self.interrupted: set[Key] = set()
        empty_all_tables()
        user = User.objects.create_user("machine")
        for name in SPACES:
            namespace = Namespace.objects.create(name=name)
            grant(namespace, user, "read write manage")
        _, token = AuthToken.objects.create(user)
        self.api = Api(str(token))

    def is_there(self, key: Key) -> bool:
        return key in self.model

    # --- Writing ---------------------------------------------------------------------

    @rule(key=A_COUNTER, delta=DELTAS, token=A_TOKEN)
    def add(self, key: Key, delta: int, token: str | None) -> None:
        body = {"delta": delta} | ({} if token is None else {"token": token})
        response = self.api.add(key[1], body, namespace=key[0])

        self.check_added(response, self.model[key].add(delta, token))

    @rule(
        key=A_COUNTER,
        delta=DELTAS,
        token=A_TOKEN,
        accuracy=st.sampled_from(["accurate", "eventual"]),
    )
    def add_and_get(
        self, key: Key, delta: int, token: str | None, accuracy: str
    ) -> None:
        body = {"delta": delta} | ({} if token is None else {"token": token})
        path = f"{counter(key[1], key[0])}/add?get={accuracy}"
        response = self.api.post(path, body)

        outcome = self.model[key].add(delta, token)
        self.check_added(response, outcome)
        if outcome != "conflict":
            self.check_reading(key, answer(response), accuracy)

    def check_added(self, response: Any, outcome: str) -> None:
        if outcome == "conflict":
            problem(response, 409, "token-conflict")
        else:
            assert answer(response)["duplicate"] is (outcome == "repeat")

    @rule(events=st.lists(AN_EVENT, max_size=5))
    def add_a_batch(self, events: list[tuple[Key, int, str | None]]) -> None:
        bodies = [
            {"namespace": namespace, "name": name, "delta": delta}
            | ({} if token is None else {"token": token})
            for (namespace, name), delta, token in events
        ]
        response = self.api.post("events", {"events": bodies})

        if conflicts := self.conflicts(events):
            assert problem(response, 409)["index"] in conflicts
            # A refused batch may leave counters of 0.
            made = {key_of(row) for row in counters_there()}
            for key in {key for key, _, _ in events} & made:
                self.model[key]
            return
        results = answer(response)["results"]
        outcomes = [self.model[key].add(delta, token) for key, delta, token in events]
        assert [one["duplicate"] for one in results] == [
            outcome == "repeat" for outcome in outcomes
        ]

    def conflicts(self, events: list[tuple[Key, int, str | None]]) -> set[int]:
        """Return the indexes of events that contradict another use of their token.

        That may be an earlier call's, or one before it in the batch; with both there, the
        answer may name either.
        """
        found = set()
        in_batch: dict[tuple[Key, str], int] = {}
        for index, (key, delta, token) in enumerate(events):
            if token is None:
                continue
            before = self.model[key].added if self.is_there(key) else {}
            first = in_batch.setdefault((key, token), delta)
            if before.get(token, delta) != delta or first != delta:
                found.add(index)
        return found

    @rule(key=A_COUNTER, token=A_TOKEN)
    def clear(self, key: Key, token: str | None) -> None:
        body = {} if token is None else {"token": token}
        response = self.api.post(f"{counter(key[1], key[0])}/clear", body)

        if not self.is_there(key):
            problem(response, 404, "counter-not-found")
            return
        one = self.model[key]
        cleared = answer(response)
        if token is not None and token in one.cleared:
            assert (cleared["duplicate"], cleared["count_before"]) == (True, None)
            return
        assert (cleared["duplicate"], int(cleared["count_before"])) == (
            False,
            one.count,
        )
        if token is not None:
            one.cleared.add(token)
        one.change(-one.count, events=pieces(one.count))

    @precondition(lambda self: self.used())
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """Some client did not hear the answer, and sends the same again."""
        key, token, delta = data.draw(st.sampled_from(self.used()))
        if delta is None:
            self.clear(key, token)
        else:
            self.add(key, delta, token)

    def used(self) -> list[tuple[Key, str, int | None]]:
        """Return the uses of tokens that count; without a delta it was a clear."""
        used: list[tuple[Key, str, int | None]] = []
        for key, one in sorted(self.model.items()):
            used += [(key, token, delta) for token, delta in sorted(one.added.items())]
            used += [(key, token, None) for token in sorted(one.cleared)]
        return used

    @rule(key=A_COUNTER)
    def delete(self, key: Key) -> None:
        path = f"{counter(key[1], key[0])}?confirm={counter(key[1]).split('/')[-1]}"
        response = self.api.send("DELETE", path)

        if self.is_there(key):
            assert response.status_code == 204, response.content
            del self.model[key]
            self.interrupted.discard(key)
        else:
            problem(response, 404, "counter-not-found")

    # --- Reading ---------------------------------------------------------------------

    @rule(key=A_COUNTER, accuracy=st.sampled_from(["accurate", "eventual"]))
    def read(self, key: Key, accuracy: str) -> None:
        response = self.api.read(key[1], f"?accuracy={accuracy}", namespace=key[0])

        if self.is_there(key):
            self.check_reading(key, answer(response), accuracy)
        else:
            problem(response, 404, "counter-not-found")

    def check_reading(self, key: Key, body: Any, accuracy: str) -> None:
        one = self.model[key]
        expected = one.count if accuracy == "accurate" else one.eventual[-1]
        assert int(body["count"]) == expected
        assert isinstance(body["count"], int) is (abs(expected) < 2**53)
        assert (body["accuracy"], body["pending"]) == (accuracy, one.pending)

    @rule(
        space=st.sampled_from(SPACES),
        sign=st.sampled_from(["", "-"]),
        limit=st.integers(1, 2),
    )
    def list_by_name(self, space: str, sign: str, limit: int) -> None:
        names = sorted(name for there, name in self.model if there == space)
        listed = self.walk(space, f"{sign}name", limit)

        assert [one["name"] for one in listed] == (names[::-1] if sign else names)
        for one in listed:
            self.check_reading((space, one["name"]), one, "eventual")

    @rule(space=st.sampled_from(SPACES), limit=st.integers(1, 2))
    def list_by_count(self, space: str, limit: int) -> None:
        listed = self.walk(space, "-count", limit)
        folded = {
            row.counter.name
            for row in Rollup.objects.filter(
                counter__namespace__name=space
            ).select_related("counter")
        }

        counts = [int(one["count"]) for one in listed]
        assert counts == sorted(counts, reverse=True)
        assert {one["name"] for one in listed} == folded
        for one in listed:
            self.check_reading((space, one["name"]), one, "eventual")

    def walk(self, space: str, ordering: str, limit: int) -> list[Any]:
        path = f"namespaces/{space}/counters?ordering={ordering}&limit={limit}"
        listed: list[Any] = []
        while path:
            page = answer(self.api.get(path))
            assert len(page["results"]) <= limit
            listed += page["results"]
            path = (page["next"] or "").partition("/api/v1/")[2]
        return listed

    @precondition(lambda self: self.model)
    @rule(data=st.data(), bucket=st.sampled_from(["minute", "hour", "day"]))
    def series(self, data: st.DataObject, bucket: str) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        now = datetime.now(UTC)
        span = f"from={z(now - timedelta(days=2))}&to={z(now + timedelta(hours=1))}"
        body = answer(
            self.api.get(f"{counter(key[1], key[0])}/series?bucket={bucket}&{span}")
        )

        total = sum(int(one["delta"]) for one in body["buckets"])
        assert total == self.model[key].eventual[-1]

    # --- Folding, or not ---------------------------------------------------------------

    @rule(key=A_COUNTER)
    def a_trigger_is_folded(self, key: Key) -> None:
        """All other triggers are dropped."""
        ids = Counter.objects.filter(namespace__name=key[0], name=key[1]).values_list(
            "pk", flat=True
        )
        fold.fold(list(ids))

        if self.is_there(key):
            self.folded(key)

    @rule()
    def a_sweep_finds_all(self) -> None:
        waiting = sweep.select_pending(grace=timedelta(0), most=1_000)
        keys = {row[2]: key_of(row) for row in counters_there()}
        found = {keys[one.counter_id] for one in waiting}
        pending = {key for key, one in self.model.items() if one.pending}
        # What a crash left is found as well, and folded to no effect.
        assert pending <= found <= pending | self.interrupted
        fold.fold([one.counter_id for one in waiting])

        for key in self.model:
            self.folded(key)

    @rule(key=A_COUNTER)
    def a_fold_is_interrupted(self, key: Key) -> None:
        """It crashes after its commit, before it removes the last writes."""
        ids = list(
            Counter.objects.filter(namespace__name=key[0], name=key[1]).values_list(
                "pk", flat=True
            )
        )
        with pytest.MonkeyPatch.context() as patch:
            original = fold._ids

            def crash(statement: str, counter_ids: Any) -> set[int]:
                if statement == "remove_settled":
                    raise KeyboardInterrupt
                return original(statement, counter_ids)

            patch.setattr(fold, "_ids", crash)
            try:
                fold.fold(ids)
            except KeyboardInterrupt:
                self.folded(key)
                self.interrupted.add(key)

    def folded(self, key: Key) -> None:
        one = self.model[key]
        if one.pending:
            one.eventual = [one.count]
            one.pending = False
        self.interrupted.discard(key)

    @rule()
    def other_processes_forget(self) -> None:
        lookup.forget_all()

    # --- Always ------------------------------------------------------------------------

    @invariant()
    def the_tables_hold_what_the_model_does(self) -> None:
        if not hasattr(self, "api"):
            return
        there = {key_of(row): row[2] for row in counters_there()}
        # A refused add may have made its counter.
        assert there.keys() == self.model.keys()
        events: defaultdict[int, list[int]] = defaultdict(list)
        for counter_id, delta in Event.objects.values_list("counter_id", "delta"):
            events[counter_id].append(delta)
        buckets: defaultdict[int, int] = defaultdict(int)
        for counter_id, in_bucket in Bucket.objects.values_list("counter_id", "delta"):
            buckets[counter_id] += int(in_bucket)
        for key, counter_id in there.items():
            assert sum(events[counter_id]) == self.model[key].count
            assert len(events.pop(counter_id, [])) == self.model[key].events
            assert buckets.pop(counter_id, 0) == self.model[key].eventual[-1]
        # Nothing of what was deleted is left.
        assert not any(events.values())
        assert not buckets
        assert deletion.remove_orphans() == 0

    def teardown(self) -> None:
        """In the end all is folded, and everything agrees."""
        if hasattr(self, "api"):
            self.a_sweep_finds_all()
            assert not LastWrite.objects.exists()
            for key, one in list(self.model.items()):
                for accuracy in ("eventual", "accurate"):
                    response = self.api.read(
                        key[1], f"?accuracy={accuracy}", namespace=key[0]
                    )
                    assert int(answer(response)["count"]) == one.count
                    self.check_reading(key, answer(response), accuracy)


def key_of(row: tuple[str, str, int]) -> Key:
    return row[0], row[1]


def counters_there() -> list[tuple[str, str, int]]:
    return list(Counter.objects.values_list("namespace__name", "name", "pk"))


def pieces(total: int) -> int:
    """Return how many events take a total off."""
    return max(1, -(-abs(total) // (2**63 - 1)))


def z(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def empty_all_tables() -> None:
    """Between two of Hypothesis's examples; pytest does it between tests only."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE counters_event, counters_lastwrite, counters_claim, rollups_bucket,"
            " rollups_rollup, rollups_sweep, rollups_failure, counters_counter,"
            " counters_grant, counters_namespace, knox_authtoken, auth_user CASCADE"
        )
    lookup.forget_all()


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(3_600)
def test_api__is_a_dictionary_whatever_the_order(triggers: list[list[int]]) -> None:
    profile = PROFILES[os.environ.get("HYPOTHESIS_PROFILE", "quick")]

    run_state_machine_as_test(Whole, settings=profile)
