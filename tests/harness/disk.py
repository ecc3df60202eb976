"""A small file system of our own, to be filled up.

It is mounted in a mount namespace that this process and its children alone see, so it is
gone with them, however they end. That takes root, and a system that allows it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_MEGABYTE = 1024 * 1024


class MountRefusedError(Exception):
    """This machine does not let us mount; the message says why."""


def enter_own_mounts() -> None:
    """Give this process mounts of its own. Raises MountRefusedError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare"):
        raise MountRefusedError("this system has no mount namespaces")
    if libc.unshare(_CLONE_NEWNS) != 0:
        raise MountRefusedError(os.strerror(ctypes.get_errno()))
    _mount("--make-rprivate", "/")


class SmallDisk:
    """A tmpfs; a ballast file fills it, and is taken away again."""

    def __init__(self, path: Path, *, megabytes: int) -> None:
        """Mount it. Raises MountRefusedError."""
        self.path = path
        self._ballast = path / "ballast"
        path.mkdir()
        options = f"size={megabytes}m,mode=0755"
        _mount("-t", "tmpfs", "-o", options, "counters-harness", str(path))

    @property
    def free_megabytes(self) -> int:
        return self._free_bytes() // _MEGABYTE

    def fill(self) -> None:
        """Leave no byte free, whatever others take or give back meanwhile."""
        with self._ballast.open("ab") as ballast:
            while True:
                end = ballast.seek(0, os.SEEK_END)
                # At least one byte: that it does not fit is how this ends.
                wanted = max(self._free_bytes(), 1)
                try:
                    os.posix_fallocate(ballast.fileno(), end, wanted)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    if not self._free_bytes():
                        return

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def _free_bytes(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize


def _mount(*words: str) -> None:
    done = subprocess.run(
        ["mount", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MountRefusedError(done.stderr.strip())
