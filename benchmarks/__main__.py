"""`python -m benchmarks`: adds beside their peers, in turns, on one durable PostgreSQL."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import django

from benchmarks import clients, report
from counters_project.embedded.pair import running

PEERS = [
    "add",
    "update_f",
    "slots",
    "bare_insert",
    "cache_incr",
    "add_in_request",
    "update_f_in_request",
    "add_many",
    "bare_insert_many",
]
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each peer")
    parser.add_argument("--only", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--write", type=Path, help="write a page of documentation")
    options = parser.parse_args()
    with ExitStack() as stack:
        _start_servers(stack)
        results = _measure(options)
        facts = _facts(options)
    report.show(results, facts)
    if options.json:
        options.json.write_text(
            json.dumps({"facts": facts, "results": results}, indent=1)
        )
    if options.write:
        options.write.write_text(report.page(results, facts))


def _start_servers(stack: ExitStack) -> None:
    """Use DATABASE_URL and its like where they are set, else embedded servers."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")
    data_dir = Path(
        stack.enter_context(tempfile.TemporaryDirectory(prefix="counters-bench-"))
    )
    os.environ["DATA_DIR"] = str(data_dir)
    if not os.environ.get("DATABASE_URL"):
        urls = stack.enter_context(running(data_dir / "embedded"))
        os.environ["DATABASE_URL"] = urls.database_url
        os.environ["CELERY_BROKER_URL"] = urls.broker_url
        os.environ["CACHE_URL"] = urls.cache_url
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"], check=True
    )
    django.setup()
    _check_durable()


def _check_durable() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for name, wanted in DURABLE.items():
            cursor.execute(f"SHOW {name}")
            [(found,)] = cursor.fetchall()
            if found != wanted:
                sys.exit(f"PostgreSQL has {name}={found}; these figures need {wanted}.")


def _measure(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    peers = {name: import_module(f"benchmarks.peers.{name}") for name in options.only}
    for peer in peers.values():
        peer.setup()
    turns: dict[str, list[dict[str, float]]] = defaultdict(list)
    for number in range(options.rounds):
        for name, peer in peers.items():
            print(
                f"round {number + 1} of {options.rounds}: {peer.TITLE}", file=sys.stderr
            )
            turns[name].append(_turn(name, peer, options))
    return {
        name: {
            "title": peers[name].TITLE,
            **{
                figure: statistics.median(turn[figure] for turn in all_turns)
                for figure in all_turns[0]
            },
            "least": min(turn["events_per_second"] for turn in all_turns),
            "most": max(turn["events_per_second"] for turn in all_turns),
        }
        for name, all_turns in turns.items()
    }


def _turn(name: str, peer: ModuleType, options: argparse.Namespace) -> dict[str, float]:
    with _worker() if peer.WITH_WORKER else ExitStack():
        measured = clients.run(name, clients=options.clients, seconds=options.seconds)
    steps = sum(one.steps for one in measured)
    took = sorted(second for one in measured for second in one.step_seconds)
    return {
        "events_per_second": sum(
            one.steps * peer.STEP_EVENTS / one.seconds for one in measured
        ),
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
        "client_cpu_us": sum(one.cpu_seconds for one in measured)
        / (steps * peer.STEP_EVENTS)
        * 1e6,
    }


@contextmanager
def _worker() -> Iterator[None]:
    """A worker that folds while the clients write, as in real life."""
    command = [sys.executable, "-m", "celery", "-A", "counters_project", "worker"]
    command += [
        "--concurrency=1",
        "--without-gossip",
        "--without-mingle",
        "-l",
        "ERROR",
    ]
    process = subprocess.Popen(
        command,
        env=os.environ | {"COUNTERS_ROLE": "worker"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(2)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            print("the worker did not stop in 20 s; killed", file=sys.stderr)
            process.kill()
            process.wait()


def _facts(options: argparse.Namespace) -> dict[str, str]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        [(version,)] = cursor.fetchall()
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "PostgreSQL": version,
        "Python": platform.python_version(),
        "durability": ", ".join(f"{name}={value}" for name, value in DURABLE.items()),
        "clients": f"{options.clients} processes, one connection each",
        "turns": f"{options.rounds} of {options.seconds:g} s each, in turn; medians",
    }


if __name__ == "__main__":
    main()
