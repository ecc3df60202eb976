"""A forked child shares no connection, no thread and no held lock with its parent."""

from __future__ import annotations

import subprocess
import sys

import pytest

from counters.models import Counter, Namespace
from tests.programs import ROOT, TIMEOUT_SECONDS, environment

pytestmark = pytest.mark.django_db(transaction=True)

PARENT = """
import django, os, sys, threading
django.setup()
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import connection, connections
from counters import forking
from counters import events
from rollups.monitor import heartbeat
from rollups.trigger import publisher

def ask(statement="SELECT pg_backend_pid()"):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]

def sessions():
    return ask("SELECT array_agg(pid) FROM pg_stat_activity")

def ask_in_thread():
    answers = []
    def run():
        answers.append(ask())
        connections.close_all()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return answers[0]

def wait_for(child):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
# Each runs `child()` in a forked process and returns that process's id.
OS_FORK = """
def fork(child):
    if pid := os.fork():
        return pid
    child()
    sys.exit(0)
"""
MULTIPROCESSING = """
import multiprocessing
def fork(child):
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    return process.pid
"""
BILLIARD = """
import billiard
def fork(child):
    process = billiard.get_context("fork").Process(target=child)
    process.start()
    return process.pid
"""
# Like a server written in C that forks without Python's hooks; then a request comes.
UNNOTICED = """
import ctypes
def fork(child):
    if pid := ctypes.PyDLL(None).fork():
        return pid
    request_started.send(sender=WSGIHandler)
    child()
    sys.exit(0)
"""
FORKS = pytest.mark.parametrize(
    "fork",
    [OS_FORK, MULTIPROCESSING, BILLIARD, UNNOTICED],
    ids=["os.fork", "multiprocessing", "billiard", "unnoticed"],
)


def run(program: str, *, role: str = "command", **variables: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT + program],
        cwd=ROOT,
        env=environment("redis://127.0.0.1:1/0")
        | {
            "DJANGO_SETTINGS_MODULE": "counters_project.settings",
            "COUNTERS_ROLE": role,
            "PYTHONPATH": ".",
        }
        | variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


@FORKS
# A pool of connections, and one connection that is kept.
@pytest.mark.parametrize("role", ["web", "command"])
def test_child__has_a_connection_of_its_own(fork: str, role: str) -> None:
    run(
        fork
        + """
parent = ask()
# Another thread has used the pool, which now holds a connection that nobody uses.
idle = ask_in_thread()
ask("SELECT set_config('counters.parent', 'here', false)")

def child():
    assert ask() not in (parent, idle)
    assert ask_in_thread() not in (parent, idle)
    assert ask("SELECT current_setting('counters.parent', true)") in (None, "")
    connections.close_all()
    connection.close_pool()

wait_for(fork(child))
# The child's end has not ended the session of the parent.
assert ask("SELECT current_setting('counters.parent')") == "here"
assert ask() == parent
# Which of its connections the pool gives is not certain; that this one lives is.
assert not connection.pool or idle in sessions()
""",
        role=role,
    )


@FORKS
def test_child__adds_while_its_parent_is_in_a_transaction(
    committed_namespace: Namespace, fork: str
) -> None:
    run(
        fork
        + """
from django.db import transaction

def child():
    events.add(namespace="test", name="child")
    assert publisher.get().tally.requested == 1
    assert cache.get("parent") == 1
    connections.close_all()

cache.set("parent", 1)
with transaction.atomic():
    events.add(namespace="test", name="parent")
    wait_for(fork(child))
    events.add(namespace="test", name="parent")
""",
        role="web",
    )

    assert set(Counter.objects.values_list("name", flat=True)) == {"child", "parent"}


def test_child__takes_a_lock_that_another_thread_held(
    committed_namespace: Namespace,
) -> None:
    run(
        OS_FORK
        + """
lock = forking.lock()
held, forked = threading.Event(), threading.Event()

def hold():
    with lock:
        held.set()
        # The fork waits for this thread, so it cannot happen within this time.
        assert not forked.wait(0.2)

thread = threading.Thread(target=hold)
thread.start()
held.wait()

def child():
    assert lock.acquire(timeout=10)

pid = fork(child)
forked.set()
wait_for(pid)
thread.join()
assert lock.acquire(timeout=10)
"""
    )


def test_web__starts_no_thread_and_opens_no_connection_at_load_time() -> None:
    run(
        """
import counters_project.wsgi
assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
assert connection.connection is None
assert not connection.pool.get_stats().get("connections_num")
request_started.send(sender=WSGIHandler)
assert "presence" in {each.name for each in threading.enumerate()}
""",
        role="web",
    )


def test_web__reports_each_child_that_serves() -> None:
    run(
        OS_FORK
        + """
import counters_project.wsgi
request_started.send(sender=WSGIHandler)

def child():
    assert heartbeat._reporter is None
    request_started.send(sender=WSGIHandler)
    assert "presence" in {each.name for each in threading.enumerate()}

wait_for(fork(child))
""",
        role="web",
    )
