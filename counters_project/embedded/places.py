"""Where the embedded servers keep things, and the URL that follows from it."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
from pathlib import Path
from urllib.parse import quote

from counters_project.embedded.errors import EmbeddedError

# PostgreSQL refuses to run as root; started by root, it runs as this account.
ACCOUNT_NAME = "pgserver"
# The port only names the socket's file. It is in the URL, so that PGPORT cannot change it.
POSTGRES_PORT = 5432
# The kernel's limit is 108 bytes on Linux and 104 on macOS, with the closing NUL.
_SOCKET_PATH_BYTES = 103
# Commas separate hosts in libpq and directories in PostgreSQL; quotes need escapes.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")


def postgres_dir(data_dir: Path) -> Path:
    """Return the directory of everything that belongs to the embedded PostgreSQL."""
    return data_dir.resolve() / "postgres"


def cluster_dir(data_dir: Path) -> Path:
    """Return PostgreSQL's own data directory."""
    return postgres_dir(data_dir) / "data"


def socket_dir(data_dir: Path) -> Path:
    """Return the directory of the socket: always the same one for a data directory.

    Raises EmbeddedError where somebody else's directory stands in its place.
    """
    beside = postgres_dir(data_dir) / "socket"
    socket = beside / f".s.PGSQL.{POSTGRES_PORT}"
    if len(os.fsencode(socket)) <= _SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(
        str(beside)
    ):
        return beside
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    # Not TMPDIR: it differs between a terminal and cron, and both must find the socket.
    short = Path("/tmp") / f"counters-{os.geteuid()}-{digest}"  # noqa: S108
    _check_owner(short)
    return short


def database_url(data_dir: Path) -> str:
    """Return the URL of the embedded database, whether or not it runs."""
    host = quote(str(socket_dir(data_dir)), safe="")
    return f"postgresql://counters@/counters?host={host}&port={POSTGRES_PORT}"


def _check_owner(directory: Path) -> None:
    """Refuse a directory that another user planted under the name that we shall use."""
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return
    owners = {os.geteuid()} | (_account_ids() if os.geteuid() == 0 else set())
    if found.st_uid not in owners or not directory.is_dir() or directory.is_symlink():
        raise EmbeddedError(
            f"{directory} belongs to somebody else and would hold the socket of"
            " PostgreSQL. Have it removed, or set DATA_DIR to a shorter path."
        )


def _account_ids() -> set[int]:
    try:
        return {pwd.getpwnam(ACCOUNT_NAME).pw_uid}
    except KeyError:
        return set()
