"""`python -m benchmarks.pages`: how long the server takes for each page a person opens.

With a million counters and ten million events, by Django's test client: the time holds
everything but the network. Each page's first call is shown apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.ground import prepared
from benchmarks.pages import report
from benchmarks.pages.report import Timed
from benchmarks.pages.seeding import seed

LIST = "/admin/counters/counter/"
# {big}: the largest namespace; {hot}: the id of its hottest counter; {sparse}: the
# beginning of names of which there are a few.
PAGES = {
    "admin index": "/admin/",
    "counters": LIST,
    "counters, a namespace": LIST + "?namespace={big}",
    "counters, by beginning": LIST + "?q=page/000",
    "counters, by beginning, few": LIST + "?q={sparse}",
    "counters, a namespace, by beginning": LIST + "?namespace={big}&q=page/000",
    "counters, pending": LIST + "?state=pending",
    "counters, pending, a namespace": LIST + "?state=pending&namespace={big}",
    "counters, set apart": LIST + "?state=apart",
    "counters, highest count": LIST + "?namespace={big}&order=count",
    "counters, last written": LIST + "?namespace={big}&order=written",
    "counters, page 20": LIST + "?p=20",
    "counters, highest count, page 20": LIST + "?namespace={big}&order=count&p=20",
    "hottest counter": LIST + "{hot}/change/",
    "hottest counter, per day": LIST + "{hot}/change/?per=day",
    "hottest counter, roll up?": LIST + "{hot}/roll-up/",
    "namespaces": "/admin/counters/namespace/",
    "a namespace": "/admin/counters/namespace/{big}/change/",
    "grants": "/admin/counters/grant/",
    "API tokens": "/admin/knox/authtoken/",
    "sweep history": "/admin/rollups/sweep/",
    "sweep history, page 20": "/admin/rollups/sweep/?p=20",
    "set apart": "/admin/rollups/failure/",
    "operations": "/ops",
    "operations, its refresh": "/ops/now",
    "API: list": "/api/v1/namespaces/site-01/counters",
    "API: list, containing": "/api/v1/namespaces/site-01/counters?search=777",
    "API: list, containing, none": "/api/v1/namespaces/site-01/counters?search=none",
    "API: top 10": "/api/v1/namespaces/site-01/counters?ordering=-count&limit=10",
    "API: last written": "/api/v1/namespaces/site-01/counters?ordering=-last_write_at",
    "API: hottest counter": "/api/v1/namespaces/site-01/counters/page%2F00000000",
    "API: its series": "/api/v1/namespaces/site-01/counters/page%2F00000000/series",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counters", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--pending", type=int, default=5_000, help="counters")
    parser.add_argument("--turns", type=int, default=15, help="of each page")
    parser.add_argument("--only", default="", help="pages whose title has this")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--write", type=Path, help="write a page of documentation")
    options = parser.parse_args()
    console = Console(width=110)
    with prepared(STATEMENT_TIMEOUT_SECONDS="3600"):
        console.print(f"Seeding {options.counters:,} counters ...")
        seed(counters=options.counters, events=options.events, pending=options.pending)
        timed = measure(turns=options.turns, only=options.only)
    size = (
        f"{options.counters:,} counters, {options.events:,} events,"
        f" {options.pending:,} counters pending"
    )
    console.print(report.table(timed, size))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in timed], indent=1))
    if options.write:
        options.write.write_text(report.page(timed, size, cores=os.cpu_count() or 1))


def measure(*, turns: int, only: str = "") -> list[Timed]:
    """Open every page so often, after a first time that stands apart."""
    busiest: Any = import_module("rollups.reading.busiest")
    call = _browser()
    ways: dict[str, Callable[[], int]] = {
        title: call(path) for title, path in PAGES.items()
    }
    ways["manage.py top, one look"] = lambda: busiest.look() and 0
    return [_timed(title, way, turns) for title, way in ways.items() if only in title]


def _browser() -> Callable[[str], Callable[[], int]]:
    """Return what makes a call of a page; staff is logged in, a superuser."""
    users: Any = import_module("django.contrib.auth.models").User.objects
    token: Any = import_module("knox.models").AuthToken.objects
    client: Any = import_module("django.test").Client(SERVER_NAME="localhost")
    counter: Any = import_module("counters.models").Counter.objects
    hot = counter.select_related("namespace").filter(name="page/00000000").get()
    boss = users.create_superuser("boss")
    client.force_login(boss)
    _, key = token.create(boss)
    known = {"big": hot.namespace_id, "hot": hot.pk, "sparse": "page/0000004"}

    def call(path: str) -> Callable[[], int]:
        address = path.format(**known)

        def get() -> int:
            answer = client.get(
                address, RAW_URI=address, headers={"Authorization": f"Token {key}"}
            )
            assert answer.status_code == 200, (address, answer.status_code)  # noqa: S101
            return len(answer.content)

        return get

    return call


def _timed(title: str, way: Callable[[], int], turns: int) -> Timed:
    connection: Any = import_module("django.db").connection
    took, queries, size = [], 0, 0

    def count(execute: Any, *arguments: Any) -> Any:
        nonlocal queries
        queries += 1
        return execute(*arguments)

    for _ in range(turns + 1):
        queries = 0
        began = time.perf_counter()
        with connection.execute_wrapper(count):
            size = way()
        took.append((time.perf_counter() - began) * 1000)
    first, *rest = took
    return Timed(
        page=title,
        first_ms=first,
        quickest_ms=min(rest),
        median_ms=statistics.median(rest),
        worst_ms=max(rest),
        queries=queries,
        kilobytes=size / 1000,
    )


if __name__ == "__main__":
    main()
