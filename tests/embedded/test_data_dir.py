"""Where the embedded servers keep things, and who may read them."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import dj_database_url
import pytest
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict

from counters_project.embedded import EmbeddedError, database_url, secret_key
from counters_project.embedded.data_dir import socket_dir
from counters_project.env import running_service
from counters_project.runner.config import (
    CannotStartError,
    RunConfig,
    check_port,
    read_config,
)


@pytest.mark.parametrize("name", ["plain", "with space", "a,b", "über", "x" * 120])
def test_database_url__means_the_same_to_django_and_libpq(
    tmp_path: Path, name: str
) -> None:
    url = database_url(tmp_path / name)

    parsed = dj_database_url.parse(url)
    assert parsed["ENGINE"] == "django.db.backends.postgresql"
    assert (parsed["USER"], parsed["NAME"]) == ("counters", "counters")
    options = parsed["OPTIONS"]
    assert isinstance(options, dict)
    libpq = conninfo_to_dict(url)
    assert options["host"] == libpq["host"] == str(socket_dir(tmp_path / name))
    assert libpq["user"] == libpq["dbname"] == "counters"


def test_socket_dir__short_and_plain_wherever_the_data_is() -> None:
    # Not pytest's own: how long that is depends on who runs the tests, and how.
    with tempfile.TemporaryDirectory() as name:
        short = Path(name)
        long = short / ("x" * 120)

        assert len(str(socket_dir(long))) < 60
        assert socket_dir(long) == socket_dir(long)
        assert socket_dir(long) != socket_dir(short / ("y" * 120))
        assert socket_dir(short / "plain").is_relative_to(short)
        assert "," not in str(socket_dir(short / "a,b"))


def test_socket_dir__planted_by_another_is_refused(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    planted = socket_dir(long)
    planted.symlink_to(tmp_path)

    try:
        with pytest.raises(EmbeddedError, match="belongs to another user"):
            database_url(long)
    finally:
        planted.unlink()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CACHE_URL", "memcache://host"),
        ("WEB_WORKERS", "0"),
        ("WEB_THREADS", "none"),
        ("WORKER_CONCURRENCY", "-1"),
    ],
)
def test_place__names_a_wrong_setting_before_any_server_starts(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ImproperlyConfigured, match=variable):
        read_config()


def test_place__host_that_is_no_address_is_named(tmp_path: Path) -> None:
    config = RunConfig(data_dir=tmp_path, host="nothing.invalid", port=8000)

    with pytest.raises(CannotStartError, match=r"HOST='nothing\.invalid'"):
        check_port(config)


def test_run_record__that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.json").write_text("{}")

    # Root reads everything, so the system's answer to another user is played here.
    def denied(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", denied)

    with pytest.raises(ImproperlyConfigured, match=r"run\.json cannot be read"):
        running_service(tmp_path)


def test_secret_key__made_once_by_many_at_once(tmp_path: Path) -> None:
    barrier = Barrier(8, timeout=10)

    def read(_: int) -> str:
        barrier.wait()
        return secret_key(tmp_path / "new")

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(read, range(8)))

    assert len(keys) == 1
    assert len(keys.pop()) >= 50
    assert os.listdir(tmp_path / "new") == ["secret-key"]  # noqa: PTH208
    mode = (tmp_path / "new" / "secret-key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
