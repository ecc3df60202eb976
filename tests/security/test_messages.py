"""What a broker may bring to a worker: JSON of the right shape, or nothing happens."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app
from django.conf import settings
from kombu import Connection, Producer

from counters import events
from counters.models import Namespace
from rollups import counts as reading
from tests import programs

pytestmark = pytest.mark.django_db(transaction=True)

NO_CALLBACKS: dict[str, Any] = {
    "callbacks": None,
    "errbacks": None,
    "chain": None,
    "chord": None,
}


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.file),))


def send(
    broker_url: str,
    body: bytes,
    *,
    content_type: str = "application/json",
    task: object = "rollups.rollup",
    **headers: Any,
) -> None:
    """Send a message as anybody could who has the broker's password."""
    with Connection(broker_url) as broker:
        Producer(broker.channel()).publish(
            body,
            routing_key="rollups",
            content_type=content_type,
            content_encoding="utf-8",
            headers={"task": task, "id": str(uuid4()), "lang": "py", **headers},
        )


def test_settings__take_json_only() -> None:
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
    assert current_app.conf.accept_content == ["json"]
    assert current_app.conf.result_accept_content in (None, ["json"])
    assert current_app.conf.task_serializer == "json"
    assert current_app.conf.event_serializer == "json"


def test_worker__does_nothing_of_a_message_that_is_no_json(
    committed_namespace: Namespace, broker_url: str, tmp_path: Path
) -> None:
    programs.purge(broker_url)
    trap, log = tmp_path / "trap", tmp_path / "worker"
    body = pickle.dumps(((Trap(trap),), {}, NO_CALLBACKS))
    # The trap works.
    pickle.loads(body)  # noqa: S301
    trap.rmdir()

    with programs.worker(broker_url, log) as worker:
        for content_type in (
            "application/x-python-serialize",
            "application/x-yaml",
            "application/x-msgpack",
            "application/data",
            "no/such-type",
        ):
            send(broker_url, body, content_type=content_type)
        fold_one(broker_url)

        assert worker.poll() is None
    assert not trap.exists()


SHAPES: dict[str, Any] = {
    "no list": "text",
    "null": None,
    "number": 17,
    "empty list": [],
    "too short": [[1]],
    "too long": [[1], {}, {}, {}],
    "arguments of a wrong kind": ["abc", {}, NO_CALLBACKS],
    "options of a wrong kind": [[[1]], 5, NO_CALLBACKS],
    "no arguments": [[], {}, NO_CALLBACKS],
    "too many arguments": [[[1], 0, None, 4, 5], {}, NO_CALLBACKS],
    "unknown option": [[[1]], {"nonsense": 1}, NO_CALLBACKS],
    "ids of a wrong kind": [[["x", None, {}]], {}, NO_CALLBACKS],
    "no ids": [[None], {}, NO_CALLBACKS],
    "ids as a dictionary": [[{"a": 1}], {}, NO_CALLBACKS],
    "ids out of range": [[[2**70, -(2**70)]], {}, NO_CALLBACKS],
    "ids of nothing": [[[0, -1, 10**15]], {}, NO_CALLBACKS],
    "claim of a wrong kind": [[[1], "x"], {}, NO_CALLBACKS],
    "claim out of range": [[[1], 10**30], {}, NO_CALLBACKS],
    "callbacks of nobody": [[[1]], {}, {"callbacks": [{"task": "os.system"}]}],
    "embedded list": [[[1]], {}, []],
}
HEADERS: dict[str, dict[str, Any]] = {
    "unknown task": {"task": "os.system"},
    "task of a wrong kind": {"task": ["rollups.rollup"]},
    "no task": {"task": None},
    "time that is none": {"eta": "tomorrow"},
    "time of a wrong kind": {"eta": 5},
    "expiry that is none": {"expires": "never"},
    "limit of a wrong kind": {"timelimit": "x"},
}


def test_worker__survives_every_shape(
    committed_namespace: Namespace, broker_url: str, tmp_path: Path
) -> None:
    programs.purge(broker_url)

    with programs.worker(broker_url, tmp_path / "worker") as worker:
        for body in (b"", b"{", b"\xff\xfe", b"[" * 50_000):
            send(broker_url, body)
        for shape in SHAPES.values():
            send(broker_url, json.dumps(shape).encode())
        good = json.dumps([[[1]], {}, NO_CALLBACKS]).encode()
        for headers in HEADERS.values():
            send(broker_url, good, **headers)
        fold_one(broker_url)

        assert worker.poll() is None


def fold_one(broker_url: str) -> None:
    """Add, and wait until the worker has folded it: it has got through all before."""
    added = events.add(namespace="test", name="hits")
    send(broker_url, json.dumps([[[added.counter_id]], {}, NO_CALLBACKS]).encode())

    def folded() -> bool:
        read = reading.get(namespace="test", name="hits", accuracy="eventual")
        return read.count == 1

    programs.wait_until(folded, "the worker does not fold any more")
