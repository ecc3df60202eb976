"""A forked child shares no connection, no thread and no held lock with its parent."""

from __future__ import annotations

import subprocess
import sys

import pytest

from counters.models import Counter, Namespace
from tests.programs import ROOT, TIMEOUT_SECONDS, environment

pytestmark = pytest.mark.django_db(transaction=True)

PARENT = """
import django, gc, os, sys, threading, time, weakref
django.setup()
from django.core.cache import cache, caches
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import connection, connections
from counters import events, forking
from counters.db import errors
from rollups.monitor import heartbeat, metrics
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
pool = weakref.ref(connection.pool) if connection.pool else None

def child():
    gc.collect()
    # Its destructor would use a lock that a thread of the parent may have held.
    assert pool is None or pool()
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
    # What the parent has counted is the parent's.
    assert publisher.get().counts.requested == 1
    assert metrics.totals() == {}
    assert cache.get("parent") == 1
    # Its client may share the parent's socket, though redis-py's looks at the process id.
    assert caches["default"] is not of_parent
    connections.close_all()

events.add(namespace="test", name="parent")
assert publisher.get().counts.requested == 1
# The thread that publishes has failed and rests. A fork without Python's hooks would else copy
# locks that it holds, of logging or of an import, and no one could release them in the child.
while not publisher.get().counts.failed:
    time.sleep(0.01)
time.sleep(0.1)
metrics.count_sweep()
cache.set("parent", 1)
of_parent = caches["default"]
with transaction.atomic():
    events.add(namespace="test", name="parent")
    wait_for(fork(child))
    events.add(namespace="test", name="parent")
""",
        role="web",
    )

    assert set(Counter.objects.values_list("name", flat=True)) == {"child", "parent"}


def test_child__lets_requests_wait_for_the_one_that_notices_the_fork() -> None:
    run(
        """
import ctypes
noticed, go_on, runs = threading.Event(), threading.Event(), []

@forking.in_child
def notice():
    runs.append(threading.current_thread().name)
    noticed.set()
    assert go_on.wait(30)

def request(name):
    arguments = {"sender": WSGIHandler}
    thread = threading.Thread(target=request_started.send, kwargs=arguments, name=name)
    thread.start()
    return thread

if pid := ctypes.PyDLL(None).fork():
    wait_for(pid)
    sys.exit(0)
first = request("first")
assert noticed.wait(30)
second = request("second")
second.join(0.2)
assert second.is_alive()
go_on.set()
first.join()
second.join()
assert runs == ["first"], runs
"""
    )


@pytest.mark.parametrize(
    "lock",
    [
        "forking.lock()",
        "metrics._changing",
        "errors._draining",
        "heartbeat._starting",
    ],
)
def test_child__takes_a_lock_that_another_thread_held(
    committed_namespace: Namespace, lock: str
) -> None:
    run(
        OS_FORK
        + f"lock = {lock}"
        + """
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
