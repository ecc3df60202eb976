"""The embedded servers: durable, private, and back after a crash."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis

from counters_project.embedded import postgres, valkey
from counters_project.embedded.data_dir import cluster_dir, postgres_dir
from counters_project.embedded.servers import running


def test_servers__durable_private_and_kept_between_runs(tmp_path: Path) -> None:
    with running(tmp_path) as urls:
        with psycopg.connect(urls.database_url) as connection:
            assert settings_of(connection) == {
                "fsync": "on",
                "full_page_writes": "on",
                "listen_addresses": "",
                "synchronous_commit": "on",
                "unix_socket_permissions": "0700",
            }
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        assert postgres_dir(tmp_path).stat().st_mode & 0o077 == 0
        host = urlsplit(urls.broker_url).netloc.rpartition("@")[2]
        stranger = redis.Redis.from_url(f"redis://{host}/0")
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis.from_url(urls.cache_url) as owner:
            assert owner.config_get("maxmemory-policy") == {
                "maxmemory-policy": "noeviction"
            }
    assert not (cluster_dir(tmp_path) / "postmaster.pid").exists()

    with running(tmp_path) as again, psycopg.connect(again.database_url) as connection:
        assert again == urls
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_postgres__ends_the_server_of_a_run_that_was_killed(tmp_path: Path) -> None:
    with running(tmp_path):
        lock = cluster_dir(tmp_path) / "postmaster.pid"
        server = psutil.Process(int(lock.read_text().split()[0]))

        postgres.stop_orphan(tmp_path)

        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


def test_postgres__spares_a_process_that_got_an_old_number(tmp_path: Path) -> None:
    lock = cluster_dir(tmp_path) / "postmaster.pid"
    lock.parent.mkdir(parents=True)
    with psutil.Popen(["sleep", "60"]) as bystander:
        lock.write_text(f"{bystander.pid}\n{lock.parent}\n")

        postgres.stop_orphan(tmp_path)

        assert bystander.is_running()
        assert not lock.exists()
        bystander.kill()


def test_valkey__keeps_its_port_while_that_is_free(tmp_path: Path) -> None:
    valkey.prepare(tmp_path)
    first = urlsplit(valkey.broker_url(tmp_path)).port

    valkey.prepare(tmp_path)
    assert urlsplit(valkey.broker_url(tmp_path)).port == first

    with socket.socket() as other:
        other.bind(("127.0.0.1", first or 0))
        other.listen()
        valkey.prepare(tmp_path)
    assert urlsplit(valkey.broker_url(tmp_path)).port != first


def settings_of(connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, str]:
    rows = connection.execute(
        "SELECT name, setting FROM pg_settings WHERE name IN ('fsync',"
        " 'full_page_writes', 'listen_addresses', 'synchronous_commit',"
        " 'unix_socket_permissions')"
    )
    return {str(name): str(setting) for name, setting in rows}
