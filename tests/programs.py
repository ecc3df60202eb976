"""The project's own programs as processes, on the databases of this test run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from celery import current_app
from django.db import connection
from kombu import Connection

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_SECONDS = 40
# On a busy machine a healthy broker may take longer than a writer should wait for it.
PATIENT = {"ROLLUPS_TRIGGER_TIMEOUT_SECONDS": "5", "ROLLUPS_TRIGGER_EXIT_SECONDS": "30"}


def test_database_url() -> str:
    """Return the URL of the database that this test's connection uses."""
    settings = connection.settings_dict
    host = settings["HOST"] or settings["OPTIONS"].get("host", "")
    port = settings["PORT"] or 5432
    return (
        f"postgresql://{settings['USER']}@/{settings['NAME']}"
        f"?host={quote(str(host), safe='')}&port={port}"
    )


test_database_url.__test__ = False  # type: ignore[attr-defined]


def environment(broker_url: str, **extra: str) -> dict[str, str]:
    return (
        os.environ
        | {"DATABASE_URL": test_database_url(), "CELERY_BROKER_URL": broker_url}
        | PATIENT
        | extra
    )


@contextmanager
def running(
    arguments: list[str], log: Path, env: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python program in a process group of its own; end all of it on leaving."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a program and its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(TIMEOUT_SECONDS)


@contextmanager
def worker(
    broker_url: str, log: Path, *options: str, **extra: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker with one child, ready for messages."""
    arguments = ["-m", "celery", "-A", "counters_project", "worker", "-c", "1"]
    arguments += ["-l", "INFO", "--without-gossip", "--without-mingle", *options]
    env = environment(broker_url, COUNTERS_ROLE="worker", **extra)
    with running(arguments, log, env) as process:
        wait_until(
            lambda: " ready." in log.read_text(), f"the worker is not ready: {log}"
        )
        yield process


@contextmanager
def beat(broker_url: str, log: Path, **extra: str) -> Iterator[subprocess.Popen[bytes]]:
    arguments = ["-m", "celery", "-A", "counters_project", "beat", "-l", "INFO"]
    arguments += ["--pidfile=", "--schedule", str(log.with_suffix(".schedule"))]
    env = environment(broker_url, COUNTERS_ROLE="beat", **extra)
    with running(arguments, log, env) as process:
        yield process


def add_in_another_process(broker_url: str, counters: int, adds: int) -> None:
    """Add 1 to `counter 0`, `counter 1`, ... in turn, `adds` times in all."""
    program = (
        "from counters import events\n"
        f"for i in range({adds}):\n"
        f"    events.add(namespace='test', name=f'counter {{i % {counters}}}')\n"
    )
    subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", program],
        cwd=ROOT,
        env=environment(broker_url),
        check=True,
        timeout=TIMEOUT_SECONDS,
    )


def purge(broker_url: str) -> None:
    """Drop what earlier tests left in the queue."""
    with Connection(broker_url) as broker:
        queue = current_app.amqp.queues["rollups"].bind(broker.default_channel)
        # Not purged only: an older version may have declared it with other arguments.
        queue.delete()
        queue.declare()


def wait_until(claim: Callable[[], object], otherwise: str) -> None:
    """Return once the claim holds; fail with `otherwise` after a generous time."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not claim():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise)
        time.sleep(0.02)
