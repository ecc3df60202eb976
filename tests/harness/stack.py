"""The whole service on servers of its own: two nodes, each with web, worker and beat."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from counters_project.embedded.data_dir import make_private_dir
from counters_project.runner import command_lines
from counters_project.runner.processes import Program, tail
from tests.faults.brokers import OwnBroker, OwnRabbitMQ, OwnValkey, free_port
from tests.harness.disk import SmallDisk
from tests.harness.hosts import Hosts
from tests.harness.postgres import OwnPostgres, programs_of
from tests.harness.units import Unit

NODES = 2
ROLES = ("web", "worker", "beat")
BROKERS = ("valkey", "rabbitmq")
HOSTS = ("client", "web 1", "web 2", "worker 1", "worker 2", "broker", "database")
LOOPBACK = "127.0.0.1"
_DISK_MEGABYTES = 768
_START_SECONDS = 90
_LOOK_EVERY_SECONDS = 0.05
# What the programs are told, beside where their servers are.
_VARIABLES = {
    "WEB_WORKERS": "1",
    "WORKER_CONCURRENCY": "1",
    "LOG_LEVEL": "WARNING",
    "PYTHONWARNINGS": "ignore",
}


class CannotStartError(Exception):
    """The service did not come up; the message says which log to look at."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a stack is made of."""

    postgres: str
    broker: str
    # Where mounting is refused, or not wanted, there is no disk to fill.
    small_disk: bool = True
    # Each part on a host of its own, in a network that can be parted.
    hosts: bool = False


class Stack:
    """Everything that a run may break. All of it is tended from one thread."""

    def __init__(self, choice: Choice, *, directory: Path, stack: ExitStack) -> None:
        self.choice = choice
        self.directory = directory
        self.disk: SmallDisk | None = None
        self.hosts: Hosts | None = None
        if choice.hosts:
            self.hosts = Hosts(HOSTS)
            stack.callback(self.hosts.remove)
            # What asks from here on is a client; PostgreSQL is asked through its socket.
            self.hosts.enter("client")
        home = directory / "postgres"
        if choice.small_disk:
            self.disk = SmallDisk(home, megabytes=_DISK_MEGABYTES)
            stack.callback(self.disk.unmount)
        else:
            home.mkdir()
        found = programs_of(choice.postgres)
        if found is None:
            raise CannotStartError(f"PostgreSQL {choice.postgres} is not installed")
        self.postgres = OwnPostgres(
            found,
            directory=home / "cluster",
            log=directory / "postgres.log",
            hosts=self.hosts,
        )
        stack.callback(self.postgres.unit.end)
        where = _on_host(self.hosts, "broker")
        self.cache = OwnValkey(make_private_dir(directory / "cache"), **where)
        stack.callback(self.cache.stop)
        self.broker = _broker(choice.broker, directory / "broker", where)
        stack.callback(_end_broker, self.broker)
        self.ports = [free_port() for _ in range(NODES)]
        self.units: dict[str, list[Unit]] = {}
        self._stack = stack

    @property
    def urls(self) -> list[str]:
        return [
            f"http://{self._address(number)}:{port}"
            for number, port in enumerate(self.ports)
        ]

    @property
    def token_file(self) -> Path:
        return self.directory / "token"

    def start(self) -> None:
        """Start servers and service; return once every web process is ready."""
        self.postgres.start()
        self.cache.start()
        self.broker.start()
        self._await(self.postgres.answers, "PostgreSQL", self.postgres.log)
        self.postgres.make_database()
        self._command("migrate", "--no-input", "--verbosity=0")
        self._command("create_demo", "--token-file", str(self.token_file))
        for role in ROLES:
            self.units[role] = [
                Unit(f"{role} {number + 1}", self._program(role, number))
                for number in range(NODES)
            ]
        for unit in self._service_units():
            unit.start()
            self._stack.callback(unit.end)
        for url, unit in zip(self.urls, self.units["web"], strict=True):
            self._await(lambda: _is_ready(url), unit.name, unit.program.log)  # noqa: B023

    def all_units(self) -> list[Unit]:
        return [self.postgres.unit, *self._service_units()]

    def tend(self) -> None:
        for unit in self.all_units():
            unit.tend()

    def hold(self, seconds: float) -> None:
        """Let so much time pass, with everything tended."""
        self.wait(lambda: False, seconds=seconds)

    def wait(self, claim: Callable[[], object], *, seconds: float) -> bool:
        """Tend everything until the claim holds; return whether it did in time."""
        deadline = time.monotonic() + seconds
        while not claim():
            if time.monotonic() > deadline:
                return False
            self.tend()
            time.sleep(_LOOK_EVERY_SECONDS)
        return True

    @contextmanager
    def other_workers(self, *launcher: str) -> Iterator[None]:
        """Run other workers meanwhile: `python LAUNCHER` with Celery's words."""
        units = self.units["worker"]
        right = [unit.program for unit in units]
        try:
            for unit, program in zip(units, right, strict=True):
                # python -m celery WORDS
                argv = (sys.executable, *launcher, *program.argv[3:])
                unit.change(replace(program, argv=argv))
            yield
        finally:
            for unit, program in zip(units, right, strict=True):
                unit.change(program)

    def _service_units(self) -> list[Unit]:
        return [unit for role in self.units.values() for unit in role]

    def _await(self, claim: Callable[[], object], name: str, log: Path) -> None:
        if not self.wait(claim, seconds=_START_SECONDS):
            raise CannotStartError(f"{name} does not answer. Its log:\n{tail(log)}")

    def _command(self, *words: str) -> None:
        program = command_lines.command(self._environment(0), *words)
        done = subprocess.run(
            program.argv,
            env=program.env,
            cwd=program.cwd,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CannotStartError(f"{program.name} failed: {done.stderr.strip()}")

    def _program(self, role: str, number: int) -> Program:
        environment = self._environment(number)
        with _variables(_VARIABLES):
            match role:
                case "web":
                    bind = f"{self._address(number)}:{self.ports[number]}"
                    program = command_lines.web(environment, bind=bind)
                case "worker":
                    program = command_lines.worker(environment)
                case _:
                    program = command_lines.beat(environment)
        program = replace(program, stop_within_seconds=15)
        if self.hosts is None:
            return program
        return self.hosts.placed(program, _host_of(role, number))

    def _address(self, number: int) -> str:
        """Where the web process of this node answers."""
        return self.hosts.address(_host_of("web", number)) if self.hosts else LOOPBACK

    def _environment(self, number: int) -> command_lines.Environment:
        data_dir = make_private_dir(self.directory / f"node {number + 1}")
        make_private_dir(data_dir / "logs")
        return command_lines.Environment(
            data_dir=data_dir,
            database_url=self.postgres.url,
            broker_url=self.broker.url,
            cache_url=self.cache.url,
            allowed_hosts=self._address(number),
        )


@contextmanager
def running(choice: Choice, directory: Path) -> Iterator[Stack]:
    """Run a stack for the length of a `with` block."""
    with ExitStack() as exits:
        stack = Stack(choice, directory=directory, stack=exits)
        stack.start()
        yield stack


def _broker(kind: str, directory: Path, where: dict[str, Any]) -> OwnBroker:
    make_private_dir(directory)
    broker = OwnValkey if kind == "valkey" else OwnRabbitMQ
    return broker(directory, **where)


def _on_host(hosts: Hosts | None, name: str) -> dict[str, Any]:
    """Return where a server runs and answers, as its class takes it."""
    if hosts is None:
        return {}
    return {
        "address": hosts.address(name),
        "placed": lambda program: hosts.placed(program, name),
    }


def _host_of(role: str, number: int) -> str:
    """Beat shares the host of a worker."""
    return f"{'worker' if role == 'beat' else role} {number + 1}"


def _end_broker(broker: OwnBroker) -> None:
    if isinstance(broker, OwnRabbitMQ):
        broker.end()
    else:
        broker.stop()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def _variables(extra: Mapping[str, str]) -> Iterator[None]:
    """Set variables for as long as programs are described: that is when they are read."""
    before = {name: os.environ.get(name) for name in extra}
    os.environ.update(extra)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
