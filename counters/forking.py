"""Make forked processes safe: a child shares no socket, thread or held lock with its parent.

Some servers load the application before they fork (gunicorn `--preload`, uWSGI); Celery's
prefork pool and multiprocessing fork as well. A child gets a copy of its parent's memory:
connections that share the parent's sockets, threads that do not run, and locks that
no thread will release. So these apps open no connection and start no thread at load time. What
the parent has opened already stays with the parent: see `in_child` and `lock`.
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
# The parent's pools, referenced so that their destructors do not run in this process.
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
        # Not held where the server forked without Python's hooks.
        if made.locked():
            made.release()

    in_child(release)
    os.register_at_fork(before=made.acquire, after_in_parent=made.release)
    return made


def become_child() -> None:
    """Discard the parent's resources. A second call in one process does nothing."""
    global _process_id
    if _process_id == os.getpid():
        return
    # Where a first request notices the fork, requests at the same time wait for it here.
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
    """Handle, at the first request, a fork without Python's hooks, such as uWSGI's."""
    become_child()


@in_child
def _leave_connections() -> None:
    """Forget PostgreSQL connections and pools without closing them.

    Closing a connection sends Terminate on the socket, which the parent still uses. psycopg
    sends nothing for a connection that is only dropped in a process which did not open it.
    """
    for alias in connections.databases:
        wrapper: Any = connections[alias]
        if wrapper.vendor != "postgresql":
            continue
        # The pool belongs to the process: any thread of the parent may have opened it.
        if pool := getattr(wrapper, "pool", None):
            _pools_of_parent.append(pool)
            pool.close = _leave_open
            wrapper.close_pool()
        del connections[alias]


@in_child
def _leave_caches() -> None:
    for alias in caches:
        # This thread has not used that cache.
        with suppress(AttributeError):
            del caches[alias]


def _leave_open(timeout: float = 0) -> None:
    """Replace an inherited pool's `close`."""


os.register_at_fork(after_in_child=become_child)
request_started.connect(_notice_fork)
