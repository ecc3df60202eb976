"""Reads on a standby claim no more than the standby has replayed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from counters.db.statements import load
from counters_project.embedded import postgres
from counters_project.embedded.account import find_account
from counters_project.embedded.data_dir import POSTGRES_PORT, cluster_dir, socket_dir
from tests.faults.databases import OwnPostgres
from tests.programs import ROOT, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[OwnPostgres]:
    server = OwnPostgres(tmp_path / "primary")
    server.start()
    try:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0"],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": server.url},
            check=True,
            timeout=120,
        )
        server.run(
            "INSERT INTO counters_namespace (name, description, counter_type, accept_past,"
            " accept_future, retention, bucket_size, created_at) VALUES"
            " ('test', '', 'eventual', '1 day', '5 min', '30 days', 'minute', now());"
            "INSERT INTO counters_counter (namespace_id, name)"
            " SELECT id, 'hits' FROM counters_namespace"
        )
        yield server
    finally:
        server.stop()


@pytest.fixture
def standby(primary: OwnPostgres, tmp_path: Path) -> Iterator[OwnPostgres]:
    """A standby that follows the primary."""
    server = OwnPostgres(tmp_path / "standby")
    cluster, account = cluster_dir(server.data_dir), find_account()
    shutil.rmtree(cluster)
    backup: list[Any] = [
        postgres._programs_dir() / "pg_basebackup",
        "--pgdata",
        cluster,
    ]
    backup += ["--host", socket_dir(primary.data_dir), "--port", str(POSTGRES_PORT)]
    backup += ["--username=postgres", "--write-recovery-conf", "--checkpoint=fast"]
    subprocess.run(
        backup,
        cwd=cluster.parent,
        user=account.user_id if account else None,
        group=account.group_id if account else None,
        extra_groups=[] if account else None,
        check=True,
        timeout=120,
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


def add(primary: OwnPostgres) -> datetime:
    """Add 5, fold nothing; return when it had been committed."""
    with psycopg.connect(primary.url, autocommit=True) as connection:
        connection.execute(
            load("counters", "add_event"),
            {
                "namespace_id": namespace_id(primary),
                "name": "hits",
                "token": uuid4(),
                "event_time": datetime.now().astimezone(),
                "delta": 5,
            },
        )
    return now(primary)


def fold(primary: OwnPostgres) -> None:
    with psycopg.connect(primary.url, autocommit=True) as connection:
        ids = {"counter_ids": [row[0] for row in primary.run("TABLE counters_counter")]}
        connection.execute(load("rollups", "create_rollups"), ids)
        with connection.transaction():
            connection.execute(load("rollups", "lock_rollups"), ids)
            connection.execute(load("rollups", "fold_events"), ids)
        connection.execute(load("rollups", "remove_settled"), ids)


def read(server: OwnPostgres, statement: str) -> tuple[int, datetime]:
    """Return count and `as_of`."""
    one = {"namespace_id": namespace_id(server), "name": "hits"}
    many = {"namespace_ids": [one["namespace_id"]], "names": ["hits"]}
    with psycopg.connect(server.url, autocommit=True) as connection:
        row = connection.execute(
            load("rollups", statement), many if "named" in statement else one
        ).fetchone()
    assert row is not None
    *_, count, as_of, _, _ = row
    return int(count), as_of


def now(server: OwnPostgres) -> datetime:
    [(at,)] = server.run("SELECT clock_timestamp()")
    assert isinstance(at, datetime)
    return at


def namespace_id(server: OwnPostgres) -> int:
    [(found,)] = server.run("SELECT id FROM counters_namespace")
    return int(found)


def test_standby__claims_no_more_than_it_has_replayed(
    primary: OwnPostgres, standby: OwnPostgres
) -> None:
    folded_from = add(primary)
    fold(primary)
    [(written,)] = primary.run("SELECT pg_current_wal_lsn()")
    wait_until(
        lambda: standby.run(f"SELECT pg_last_wal_replay_lsn() >= '{written}'")[0][0],
        "the standby does not follow",
    )
    standby.run("SELECT pg_wal_replay_pause()")
    wait_until(
        lambda: standby.run("SELECT pg_get_wal_replay_pause_state() = 'paused'")[0][0],
        "the standby does not pause",
    )
    missing_from = add(primary)

    for statement in (
        "read_eventual",
        "read_accurate",
        "read_named_counters",
        "read_named_accurately",
    ):
        count, as_of = read(standby, statement)
        assert count == 5, statement
        assert folded_from < as_of < missing_from, statement
