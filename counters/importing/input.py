"""Open a file or standard input, plain, gzipped or zipped, and read its lines."""

from __future__ import annotations

import codecs
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
from counters.importing.options import STDIN, UTF_8_WITH_MARK, Options

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"
FINGERPRINT_BYTES = 64 * 1024
# Endings that do not change a file's rows.
WRAPPINGS = {".gz", ".zip", ".rejects"}


@dataclass(frozen=True, slots=True)
class Input:
    """An open input: its decompressed bytes and the file that they come from.

    A pipe is opened once and read once, whether it is standard input or has a name.
    """

    stream: io.BufferedReader
    raw: io.BufferedReader
    # The file's name without directories, .gz, .zip and .rejects; 'stdin' for a pipe.
    name: str
    # Size of the file on disk; None for a pipe.
    size: int | None

    def bytes_read(self) -> int:
        """Return how many bytes of the file on disk were read, out of `size`."""
        return self.raw.tell() if self.size is not None else 0

    def peek(self) -> bytes:
        """Return some of the next bytes without moving on; raise InputBroken."""
        try:
            return self.stream.peek(64)
        except DAMAGED as error:
            raise _broken(error, after_line=0) from error

    def fingerprint(self) -> str:
        """Return a text that differs between files, and changes when a file changes."""
        about = os.fstat(self.raw.fileno())
        with Path(self.raw.name).open("rb") as beginning:
            digest = hashlib.sha256(beginning.read(FINGERPRINT_BYTES)).hexdigest()
        return f"{about.st_size} {about.st_mtime_ns} {digest}"


@contextmanager
def opened(options: Options) -> Iterator[Input]:
    """Open the input file or pipe; raise CannotImport if it cannot be opened."""
    with ExitStack() as stack:
        raw, size = _raw(options, stack)
        magic = raw.peek(len(ZIP_MAGIC))
        stream = raw
        if magic.startswith(GZIP_MAGIC):
            stream = io.BufferedReader(stack.enter_context(gzip.GzipFile(fileobj=raw)))
        elif magic.startswith(ZIP_MAGIC):
            stream = io.BufferedReader(_only_member(raw, stack, options))
        yield Input(
            stream,
            raw,
            "stdin" if options.from_stdin else bare_name(options.file),
            size,
        )


def bare_name(file: str) -> str:
    """Return a file's name without directories, .gz, .zip and .rejects."""
    path = Path(file)
    while path.suffix.lower() in WRAPPINGS:
        path = path.with_suffix("")
    return path.name


def _raw(options: Options, stack: ExitStack) -> tuple[io.BufferedReader, int | None]:
    if options.file == STDIN:
        # Leave standard input open: it belongs to the caller.
        return io.BufferedReader(_Unclosed(sys.stdin.buffer)), None
    try:
        raw = Path(options.file).open("rb")  # noqa: SIM115 - the stack closes it
    except OSError as error:
        raise CannotImport(
            f"{options.file} cannot be read: {error.strerror}."
        ) from error
    size = None if options.from_stdin else os.fstat(raw.fileno()).st_size
    return stack.enter_context(raw), size


def _only_member(
    raw: io.BufferedReader, stack: ExitStack, options: Options
) -> zipfile.ZipExtFile:
    if options.from_stdin:
        raise CannotImport("A .zip cannot be read from a pipe; give the file's name.")
    try:
        archive = stack.enter_context(zipfile.ZipFile(raw))
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise CannotImport(
                f"{options.file} has {len(members)} members; a .zip must hold one file."
            )
        return cast("zipfile.ZipExtFile", archive.open(members[0]))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise CannotImport(f"{options.file} cannot be unzipped: {error}.") from error


def _broken(error: Exception, *, after_line: int) -> InputBroken:
    # The gzip module looks for another member. Its name for other bytes misleads, and so
    # would a line: the error comes before the lines that were read together with the bytes.
    if isinstance(error, gzip.BadGzipFile) and "Not a gzipped file" in str(error):
        return InputBroken(
            "the file has extra bytes after its gzip data. Unpack it with gzip -d, and import"
            " the unpacked file."
        )
    return InputBroken(f"after line {after_line}: {error}")


class _Unclosed(io.RawIOBase):
    """Standard input as a raw stream. Closing it leaves standard input open."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        # read1 returns what is there, so a slow producer's rows arrive without delay.
        read = getattr(self._stream, "read1", self._stream.read)
        data: bytes = read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


# Far above the csv module's limit for a field; a longer line is not a row.
LINE_BYTES = 1024 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Lines:
    """Iterate over decoded lines with their line ends.

    `offset` and `number` are the bytes and lines read so far. `text` is everything read since
    `begin`, for the report of a bad row. Decoding loses nothing: bytes that are not text become
    surrogates, which are encoded to the same bytes.
    """

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self.offset = 0
        self.number = 0
        # The last line that was read has no line end.
        self.unfinished = False
        # What is wrong with a line read since `begin`.
        self.problem: str | None = None
        self.first_number = 1
        self.first_offset = 0
        # A line read since `begin` is too long, and `text` has only its beginning.
        self.is_cut = False
        # A mark at the beginning is allowed in UTF-8, and the codec would see one in any line.
        has_mark = codecs.lookup(encoding).name == UTF_8_WITH_MARK
        self.encoding = "utf-8" if has_mark else encoding
        self._stream = stream
        self._read: list[str] = []
        # Quotes in the parts of lines that were too long for `text`.
        self._quotes_skipped = 0

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        raw = self._readline()
        if not raw:
            raise StopIteration
        if len(raw) > LINE_BYTES:
            self._skip_rest(raw)
        self.number += 1
        if self.number == 1 and raw.startswith(BYTE_ORDER_MARK):
            raw = raw[len(BYTE_ORDER_MARK) :]
        try:
            text = raw.decode(self.encoding)
        except UnicodeDecodeError as error:
            text = self._keep(raw)
            self.problem = self.problem or (
                f"byte {raw[error.start]:#04x} at place {error.start + 1} of the line is"
                f" not {self.encoding}"
            )
        if "\0" in text:
            self.problem = self.problem or "a NUL byte"
        self._read.append(text)
        return text

    @property
    def text(self) -> str:
        return "".join(self._read)

    @property
    def quotes(self) -> int:
        """Return how many quote characters were read since `begin`."""
        return self.text.count('"') + self._quotes_skipped

    def begin(self) -> None:
        """Mark the beginning of a new row."""
        self._read.clear()
        self._quotes_skipped = 0
        self.is_cut = False
        self.problem = None
        self.first_number = self.number + 1
        self.first_offset = self.offset

    def seek(self, offset: int, number: int) -> None:
        """Continue after this byte and line."""
        try:
            self._stream.seek(offset)
        except DAMAGED as error:
            raise InputBroken(
                f"the place to continue from cannot be reached: {error}"
            ) from error
        self.offset, self.number = offset, number

    def _keep(self, raw: bytes) -> str:
        """Decode bytes that are not text without losing any."""
        try:
            return raw.decode(self.encoding, "surrogateescape")
        except UnicodeDecodeError:
            # UTF-7 and ISO 2022 fail on sequences, not on bytes; they are made of ASCII.
            return raw.decode("ascii", "surrogateescape")

    def _readline(self) -> bytes:
        try:
            raw = self._stream.readline(LINE_BYTES + 1)
        except DAMAGED as error:
            raise _broken(error, after_line=self.number) from error
        self.offset += len(raw)
        if raw:
            self.unfinished = not raw.endswith(b"\n")
        return raw

    def _skip_rest(self, raw: bytes) -> None:
        self.is_cut = True
        self.problem = f"a line of more than {LINE_BYTES:,} bytes"
        while raw and not raw.endswith(b"\n"):
            raw = self._readline()
            self._quotes_skipped += raw.count(b'"')
