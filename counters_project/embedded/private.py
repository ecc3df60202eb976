"""Files and directories that only their owner may read."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from counters_project.embedded.errors import EmbeddedError


def make_private_dir(path: Path) -> Path:
    """Make the directory, and those above it, for their owner only, unless they are there.

    Raises ImproperlyConfigured where that is not possible.
    """
    try:
        for directory in (*reversed(path.parents), path):
            directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The directory {path} cannot be made: {error.strerror}. Set DATA_DIR, or"
            " METRICS_DIR for the metrics, to a directory that this user may write."
        ) from error
    return path


def refuse_shared(path: Path) -> None:
    """Raise EmbeddedError for a directory in which anybody may put or replace files."""
    if path.stat().st_mode & stat.S_IWOTH:
        raise EmbeddedError(
            f"{path} can be written by every user of this machine, who could put files of"
            f" theirs in place of ours. Run `chmod o-w {path}`, or set DATA_DIR to a"
            " directory of your own."
        )


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step; nobody sees half of it, only its owner reads it."""
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
    """Return the file's text; the first of several processes at once makes it."""
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
    """Return Django's SECRET_KEY of this data directory, made at the first use."""
    return read_or_create(data_dir / "secret-key", lambda: secrets.token_urlsafe(50))
