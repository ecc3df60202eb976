"""A process that forks after its first add: parent and child both go on triggering."""

from __future__ import annotations

import subprocess
import sys

import pytest

from counters.models import Counter, Namespace
from tests.faults.brokers import OwnBroker
from tests.faults.conftest import messages_in
from tests.programs import ROOT, TIMEOUT_SECONDS, environment, wait_until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.own_brokers,
    pytest.mark.django_db(transaction=True),
]

# Triggers in the parent, so that thread, lock and socket are there; then in the child,
# again in the parent while the child lives, and in the child once more.
COMMON = """
import os, sys, time
from django.db import connections
from counters import events
from rollups.trigger import publisher

def add(name):
    events.add(namespace="test", name=name)

def published(number):
    deadline = time.monotonic() + 20
    while publisher.get().counts.published < number:
        assert time.monotonic() < deadline, publisher.get().counts
        time.sleep(0.01)

def in_child(go_on, said):
    assert publisher.get().counts.requested == 0
    add("child 1")
    published(1)
    os.write(said, b"x")
    os.read(go_on, 1)
    add("child 2")  # published as the child ends

add("parent 1")
published(1)
connections.close_all()
go_on, tell = os.pipe()
hear, said = os.pipe()
"""
OS_FORK = """
if (child := os.fork()) == 0:
    in_child(go_on, said)
    sys.exit(0)
"""
MULTIPROCESSING = """
import multiprocessing
process = multiprocessing.get_context("fork").Process(target=in_child, args=(go_on, said))
process.start()
child = process.pid
"""
PARENT = """
os.read(hear, 1)
add("parent 2")
published(2)
os.write(tell, b"x")
_, status = os.waitpid(child, 0)
assert status == 0, status
add("parent 3")  # published as the parent ends
"""


@pytest.mark.parametrize(
    "fork", [OS_FORK, MULTIPROCESSING], ids=["os.fork", "multiprocessing"]
)
def test_fork__after_the_first_add_triggers_in_parent_and_child(
    committed_namespace: Namespace, own_broker: OwnBroker, fork: str
) -> None:
    names = ["parent 1", "child 1", "parent 2", "child 2", "parent 3"]
    program = COMMON + fork + PARENT

    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup()\n{program}"],
        cwd=ROOT,
        env=environment(own_broker.url)
        | {"DJANGO_SETTINGS_MODULE": "counters_project.settings", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    name_of = dict(Counter.objects.values_list("pk", "name"))
    triggered: list[str] = []

    def all_there() -> bool:
        for ids in messages_in(own_broker.url):
            triggered.extend(name_of[one] for one in ids)
        return sorted(triggered) == sorted(names)

    wait_until(all_there, f"some triggers are missing: {triggered}")


def test_celery_child__publishes_what_waits_when_it_ends(
    committed_namespace: Namespace, own_broker: OwnBroker
) -> None:
    """Its end runs no atexit functions; Celery sends a signal instead."""
    program = (
        "import os, django; django.setup()\n"
        "from celery.signals import worker_process_shutdown\n"
        "from counters import events\n"
        "events.add(namespace='test', name='last')\n"
        "worker_process_shutdown.send(sender=None, pid=os.getpid(), exitcode=0)\n"
        "os._exit(0)\n"
    )

    subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(own_broker.url)
        | {"DJANGO_SETTINGS_MODULE": "counters_project.settings"},
        timeout=TIMEOUT_SECONDS,
        check=True,
    )

    expected = [[Counter.objects.get().pk]]
    wait_until(lambda: messages_in(own_broker.url) == expected, "it was not published")
