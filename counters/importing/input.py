"""Opens the input: a file or standard input, as it is, gzipped, or zipped."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from counters.importing.errors import DAMAGED, CannotImport, InputBroken
from counters.importing.plan import STDIN, Plan

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"
FINGERPRINT_BYTES = 64 * 1024
# What wraps a file without making other rows of it.
WRAPPINGS = {".gz", ".zip", ".rejects"}


@dataclass(frozen=True, slots=True)
class Input:
    """An open input: its plain bytes, and the file beneath them.

    A pipe is opened once and read once, whether it is standard input or has a name.
    """

    stream: io.BufferedReader
    raw: io.BufferedReader
    # The file's name without directories, .gz, .zip and .rejects; 'stdin' for a pipe.
    name: str
    # Size of the file on the disk; None for a pipe.
    size: int | None

    def bytes_read(self) -> int:
        """Return how far the file on the disk is read, to compare with `size`."""
        return self.raw.tell() if self.size is not None else 0

    def peek(self) -> bytes:
        """Return some of the next bytes without moving on; raise InputBroken."""
        try:
            return self.stream.peek(64)
        except DAMAGED as error:
            raise InputBroken(f"after line 0: {error}") from error

    def fingerprint(self) -> str:
        """Return what tells this file from another one, and from itself once changed."""
        about = os.fstat(self.raw.fileno())
        with Path(self.raw.name).open("rb") as beginning:
            digest = hashlib.sha256(beginning.read(FINGERPRINT_BYTES)).hexdigest()
        return f"{about.st_size} {about.st_mtime_ns} {digest}"


@contextmanager
def opened(plan: Plan) -> Iterator[Input]:
    """Open the plan's input; raise CannotImport where that is not possible."""
    with ExitStack() as stack:
        raw, size = _raw(plan, stack)
        magic = raw.peek(len(ZIP_MAGIC))
        stream = raw
        if magic.startswith(GZIP_MAGIC):
            stream = io.BufferedReader(stack.enter_context(gzip.GzipFile(fileobj=raw)))
        elif magic.startswith(ZIP_MAGIC):
            stream = io.BufferedReader(_only_member(raw, stack, plan))
        yield Input(
            stream, raw, "stdin" if plan.from_stdin else bare_name(plan.file), size
        )


def bare_name(file: str) -> str:
    """Return a file's name without directories, .gz, .zip and .rejects."""
    path = Path(file)
    while path.suffix.lower() in WRAPPINGS:
        path = path.with_suffix("")
    return path.name


def _raw(plan: Plan, stack: ExitStack) -> tuple[io.BufferedReader, int | None]:
    if plan.file == STDIN:
        # Django closes nothing here, and neither do we: standard input is not ours.
        return io.BufferedReader(_Unclosed(sys.stdin.buffer)), None
    try:
        raw = Path(plan.file).open("rb")  # noqa: SIM115 - the stack closes it
    except OSError as error:
        raise CannotImport(f"{plan.file} cannot be read: {error.strerror}.") from error
    size = None if plan.from_stdin else os.fstat(raw.fileno()).st_size
    return stack.enter_context(raw), size


def _only_member(
    raw: io.BufferedReader, stack: ExitStack, plan: Plan
) -> zipfile.ZipExtFile:
    if plan.from_stdin:
        raise CannotImport("A .zip cannot be read from a pipe; give the file's name.")
    try:
        archive = stack.enter_context(zipfile.ZipFile(raw))
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise CannotImport(
                f"{plan.file} has {len(members)} members; a .zip must hold one file."
            )
        return cast("zipfile.ZipExtFile", archive.open(members[0]))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise CannotImport(f"{plan.file} cannot be unzipped: {error}.") from error


class _Unclosed(io.RawIOBase):
    """Standard input as a raw stream that does not close it."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        # read1, so that a slow producer's rows arrive when they are there.
        read = getattr(self._stream, "read1", self._stream.read)
        data: bytes = read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
