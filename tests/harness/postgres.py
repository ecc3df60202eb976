"""A PostgreSQL of our own: the embedded 18, or the system's 15."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from counters_project.embedded import postgres
from counters_project.embedded.account import (
    find_account,
    open_programs,
    own_private_dir,
)
from counters_project.runner.processes import Program
from tests.harness.hosts import NETWORK, Hosts
from tests.harness.units import Unit

KINDS = ("embedded", "15")
_SYSTEM_15 = Path("/usr/lib/postgresql/15/bin")
_PORT = 5432
_NAME = "counters"
# Small segments that are not used again: a full disk meets the write-ahead log within
# moments, as it would meet a busy server's.
_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "max_wal_size": "128MB",
    "min_wal_size": "2MB",
    "wal_recycle": "off",
    "autovacuum_naptime": "5s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%a ",
}

Connection = psycopg.Connection[tuple[object, ...]]


def programs_of(kind: str) -> Path | None:
    """Return where the programs of this PostgreSQL are, None where it is missing."""
    if kind == "15":
        return _SYSTEM_15 if (_SYSTEM_15 / "postgres").exists() else None
    return postgres._programs_dir()


class OwnPostgres:
    """A cluster in `directory`, its log elsewhere: the disk may be full."""

    def __init__(
        self, programs: Path, *, directory: Path, log: Path, hosts: Hosts | None = None
    ) -> None:
        self._programs = programs
        self._account = find_account()
        self._cluster = directory / "data"
        self._socket = directory / "socket"
        self.log = log
        for path in (directory, self._cluster, self._socket):
            own_private_dir(path, self._account)
        wheel = programs.parent.parent
        libraries = wheel.with_name(f"{wheel.name}.libs")
        open_programs(programs / "initdb", [programs.parent, libraries], self._account)
        self._initdb()
        self._address = hosts.address("database") if hosts else None
        program = self._program()
        self.unit = Unit(
            "postgres", hosts.placed(program, "database") if hosts else program
        )

    @property
    def url(self) -> str:
        if self._address:
            return f"postgresql://{_NAME}@{self._address}:{_PORT}/{_NAME}"
        host = quote(str(self._socket), safe="")
        return f"postgresql://{_NAME}@/{_NAME}?host={host}&port={_PORT}"

    def start(self) -> None:
        # A killed server leaves its lock file; its number may be somebody else's now.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        self.unit.start()

    def kill(self) -> None:
        """SIGKILL the postmaster, then every process that it started."""
        process = self.unit.process
        if process is None:
            return
        children: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(process.pid).children(recursive=True)
        self.unit.signal(signal.SIGKILL)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        # One of them left alive would keep the next postmaster from the shared memory.
        psutil.wait_procs(children, timeout=30)
        self.unit.wait()

    def answers(self) -> bool:
        with suppress(psycopg.Error), self.connection("postgres"):
            return True
        return False

    def make_database(self) -> None:
        with self.connection("postgres") as connection:
            connection.execute(f"CREATE ROLE {_NAME} LOGIN")
            connection.execute(f"GRANT pg_monitor TO {_NAME}")
            connection.execute(f"CREATE DATABASE {_NAME} OWNER {_NAME}")

    @contextmanager
    def connection(self, database: str = _NAME) -> Iterator[Connection]:
        """A superuser's connection, in autocommit mode: on the socket, past all networks."""
        connection = psycopg.connect(
            host=str(self._socket),
            port=_PORT,
            user="postgres",
            dbname=database,
            connect_timeout=5,
            application_name="counters-harness",
            autocommit=True,
        )
        with connection:
            yield connection

    def panics(self) -> int:
        """How often it gave up by itself, as on a full disk."""
        return self.log.read_text(errors="replace").count("PANIC:")

    def _program(self) -> Program:
        settings = _SETTINGS | {"unix_socket_directories": str(self._socket)}
        if self._address:
            settings["listen_addresses"] = self._address
            with (self._cluster / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {NETWORK} trust\n")
        options = [f"--{name}={value}" for name, value in settings.items()]
        return Program(
            name="postgres",
            argv=(str(self._programs / "postgres"), "-D", str(self._cluster), *options),
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            cwd=self._cluster,
            log=self.log,
            account=self._account,
            stop_signal=signal.SIGINT,
            hurry_signal=signal.SIGQUIT,
            stop_within_seconds=60,
        )

    def _initdb(self) -> None:
        account = self._account
        argv = [str(self._programs / "initdb"), "--pgdata", str(self._cluster)]
        argv += ["--username=postgres", "--auth-local=trust", "--auth-host=reject"]
        argv += ["--encoding=UTF8", "--locale=C", "--data-checksums", "--no-sync"]
        argv += ["--wal-segsize=1", "--no-instructions"]
        subprocess.run(
            argv,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            cwd=self._cluster,
            user=account.user_id if account else None,
            group=account.group_id if account else None,
            extra_groups=[] if account else None,
            check=True,
            capture_output=True,
        )
