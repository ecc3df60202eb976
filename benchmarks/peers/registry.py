"""All ways to count, by name. Importing this module sets Django up."""

from __future__ import annotations

import django

django.setup()

from benchmarks.peers import database, rest, valkey  # noqa: E402

WAYS = database.WAYS | valkey.WAYS | rest.WAYS
