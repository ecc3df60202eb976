"""A host's WSGI module that uses the database, the cache and a counter at load time."""

from __future__ import annotations

import threading
from importlib import import_module

from django.core.cache import cache
from django.db import connection

from counters_project.wsgi import application

__all__ = ["application"]

# Not imported above: it has models, and Django is set up by now.
recording = import_module("counters.events")


def use_everything() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    cache.set("used at load", 1)
    recording.add(namespace="demo", name="load")


# In a thread too: the process that forks cannot reach that thread's connections.
thread = threading.Thread(target=use_everything)
thread.start()
thread.join()
use_everything()
