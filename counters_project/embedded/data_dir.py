"""The private files of the embedded servers, and the URL of the database."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured


class EmbeddedError(Exception):
    """An embedded server cannot run here; the message says why and what to do."""


def make_private_dir(path: Path) -> Path:
    """Create the directory and its parents, with access for their owner only.

    Raises ImproperlyConfigured if this is not possible.
    """
    try:
        for directory in (*reversed(path.parents), path):
            directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The directory {path} cannot be created: {error.strerror}. Set DATA_DIR, or"
            " METRICS_DIR for the metrics, to a directory that this user may write."
        ) from error
    return path


def refuse_shared(path: Path) -> None:
    """Raise EmbeddedError if every user may write to the directory."""
    if path.stat().st_mode & stat.S_IWOTH:
        raise EmbeddedError(
            f"Every user of this machine can write to {path} and replace the service's"
            f" files. Run `chmod o-w {path}`, or set DATA_DIR to your own directory."
        )


def write_private(path: Path, text: str) -> None:
    """Replace the file atomically; only its owner may read it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_or_create(path: Path, make: Callable[[], str]) -> str:
    """Return the file's text; exactly one of several processes creates it."""
    directory = os.open(make_private_dir(path.parent), os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        text = path.read_text().strip() if path.exists() else ""
        if not text:
            text = make()
            write_private(path, text + "\n")
        return text
    finally:
        os.close(directory)


def secret_key(data_dir: Path) -> str:
    """Return the SECRET_KEY of this data directory; create it at the first use."""
    return read_or_create(data_dir / "secret-key", lambda: secrets.token_urlsafe(50))


# PostgreSQL refuses to run as root; started by root, it runs as this account.
ACCOUNT_NAME = "pgserver"
# The port is part of the socket's file name. The URL contains it, so PGPORT has no effect.
POSTGRES_PORT = 5432
# The kernel allows 108 bytes on Linux and 104 on macOS, including the closing NUL.
_SOCKET_PATH_BYTES = 103
# Commas separate hosts in libpq and directories in PostgreSQL; quotes need escapes.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")


def postgres_dir(data_dir: Path) -> Path:
    """Return the directory of the embedded PostgreSQL."""
    return data_dir.resolve() / "postgres"


def cluster_dir(data_dir: Path) -> Path:
    """Return PostgreSQL's own data directory."""
    return postgres_dir(data_dir) / "data"


def socket_dir(data_dir: Path) -> Path:
    """Return the directory of the socket, a function of the data directory.

    Raises EmbeddedError if the directory exists and belongs to another user.
    """
    inside = postgres_dir(data_dir) / "socket"
    socket = inside / f".s.PGSQL.{POSTGRES_PORT}"
    if len(os.fsencode(socket)) <= _SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(
        str(inside)
    ):
        return inside
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    # Not TMPDIR: a terminal and cron may have different ones, and both need the socket.
    short = Path("/tmp") / f"counters-{os.geteuid()}-{digest}"  # noqa: S108
    _check_owner(short)
    return short


def database_url(data_dir: Path) -> str:
    """Return the URL of the embedded database, even if it does not run."""
    host = quote(str(socket_dir(data_dir)), safe="")
    return f"postgresql://counters@/counters?host={host}&port={POSTGRES_PORT}"


def _check_owner(directory: Path) -> None:
    """Refuse a directory that another user created under this name."""
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return
    owners = {os.geteuid()} | (_account_ids() if os.geteuid() == 0 else set())
    if found.st_uid not in owners or not directory.is_dir() or directory.is_symlink():
        raise EmbeddedError(
            f"{directory} is needed for the socket of PostgreSQL but belongs to another"
            " user. Have it removed, or set DATA_DIR to a shorter path."
        )


def _account_ids() -> set[int]:
    try:
        return {pwd.getpwnam(ACCOUNT_NAME).pw_uid}
    except KeyError:
        return set()
