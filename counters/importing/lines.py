"""Reads a stream line by line, and knows where it is and what it has read."""

from __future__ import annotations

from typing import IO

from counters.importing.errors import DAMAGED, InputBroken

# Far above what a field of the csv module may hold; a longer line is no row.
LINE_BYTES = 1024 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Lines:
    """An iterator of decoded lines with their line ends.

    `offset` and `number` say behind which byte and line it stands. `text` is what was
    read since `begin`, for the report on a bad row: nothing is lost by decoding, because
    bytes that are not text become surrogates and are written back as they were.
    """

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self.offset = 0
        self.number = 0
        # What is wrong with a line read since `begin`.
        self.problem: str | None = None
        self.first_number = 1
        self.encoding = "utf-8" if encoding.lower() == "utf-8-sig" else encoding
        self._stream = stream
        self._read: list[str] = []

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

    def begin(self) -> None:
        """Say that a new row begins here."""
        self._read.clear()
        self.problem = None
        self.first_number = self.number + 1

    def seek(self, offset: int, number: int) -> None:
        """Go on behind this byte and line."""
        try:
            self._stream.seek(offset)
        except DAMAGED as error:
            raise InputBroken(
                f"the place to go on from is not there: {error}"
            ) from error
        self.offset, self.number = offset, number

    def _keep(self, raw: bytes) -> str:
        """Decode what is not text, so that nothing of it is lost."""
        try:
            return raw.decode(self.encoding, "surrogateescape")
        except UnicodeDecodeError:
            # UTF-7 and ISO 2022 fail on sequences, not on bytes; they are made of ASCII.
            return raw.decode("ascii", "surrogateescape")

    def _readline(self) -> bytes:
        try:
            raw = self._stream.readline(LINE_BYTES + 1)
        except DAMAGED as error:
            raise InputBroken(f"after line {self.number}: {error}") from error
        self.offset += len(raw)
        return raw

    def _skip_rest(self, raw: bytes) -> None:
        self.problem = f"a line of more than {LINE_BYTES:,} bytes"
        while raw and not raw.endswith(b"\n"):
            raw = self._readline()
