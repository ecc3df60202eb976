"""Files and directories that only their owner may read."""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path


def make_private_dir(path: Path) -> Path:
    """Make the directory, readable by its owner only, unless it is there already."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


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
