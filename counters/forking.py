"""Makes forked processes safe: a child shares no socket, thread or held lock with its parent.

Some servers load the application before they fork (gunicorn `--preload`, uWSGI); Celery's
prefork pool and multiprocessing fork as well. A child gets a copy of its parent's memory:
connections that share the parent's sockets, threads that do not run, and locks that
nobody will release. So nothing here opens a connection or starts a thread at load time,
and what exists nevertheless is left to the parent: see `in_child` and `lock`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.core.cache import caches
from django.core.signals import request_started
from django.db import connections

logger = logging.getLogger(__name__)

_in_child: list[Callable[[], None]] = []
_process_id = os.getpid()
_becoming = threading.Lock()
# Pools of the parent's. Referenced, so that no destructor of theirs runs in this process.
_pools_of_parent: list[Any] = []


def in_child(function: Callable[[], None]) -> Callable[[], None]:
    """Run the function in each forked child, in the order of registration; a decorator."""
    _in_child.append(function)
    return function


def lock() -> threading.Lock:
    """Return a lock that is never copied into a child while another thread holds it.

    For short sections only: a fork waits for it.
    """
    made = threading.Lock()

    def release() -> None:
        # Not held where the server forks without Python's knowledge.
        if made.locked():
            made.release()

    in_child(release)
    os.register_at_fork(before=made.acquire, after_in_parent=made.release)
    return made


def become_child() -> None:
    """Leave to the parent what is the parent's; does nothing twice in one process."""
    global _process_id
    if _process_id == os.getpid():
        return
    # Where a first request notices the fork, others that come with it wait for this.
    with _becoming:
        if _process_id == os.getpid():
            return
        for function in _in_child:
            try:
                function()
            except Exception:
                logger.exception("This child may share a resource with its parent.")
        _process_id = os.getpid()


def _notice_fork(**_: Any) -> None:
    """Notice a fork that ran none of Python's hooks, as uWSGI's may, at the first request."""
    become_child()


@in_child
def _leave_connections() -> None:
    """Forget PostgreSQL connections and pools without closing them.

    To close one sends Terminate on the socket that the parent goes on using. psycopg does
    not do so for a connection that is only dropped in another process than its own.
    """
    used = {each.alias for each in connections.all(initialized_only=True)}
    for alias, described in connections.databases.items():
        if alias not in used and not described.get("OPTIONS", {}).get("pool"):
            continue
        wrapper: Any = connections[alias]
        if wrapper.vendor != "postgresql":
            continue
        # The pool is of the whole process: any thread of the parent may have opened it.
        if pool := getattr(wrapper, "pool", None):
            _pools_of_parent.append(pool)
            pool.close = _leave_open
            wrapper.close_pool()
        del connections[alias]


@in_child
def _leave_caches() -> None:
    for alias in caches:
        # This thread has not used that one.
        with suppress(AttributeError):
            del caches[alias]


def _leave_open(timeout: float = 0) -> None:
    """In place of an inherited pool's `close`."""


os.register_at_fork(after_in_child=become_child)
request_started.connect(_notice_fork)
