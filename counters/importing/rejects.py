"""Write rejected rows to a file that can be corrected and imported again.

Each row is written unchanged, after two new columns: its place in the input file, and the
reason. A corrected row keeps its place, so it gets the same token as in the input file, and
counts once even if it is imported from both files.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import IO

from counters.importing.rows import PLACE, REASON, Dialect

JSON_MARKS = re.compile(
    rf'\{{"{PLACE}": "(?:[^"\\]|\\.)*", "{REASON}": "(?:[^"\\]|\\.)*"(?:, )?'
)


class Rejects:
    """Write rejected rows. The first one creates the file."""

    def __init__(
        self, path: Path, *, encoding: str, header_text: str | None, dialect: Dialect
    ) -> None:
        self.path = path
        self._encoding = encoding
        self._header_text = header_text
        self._dialect = dialect
        end = re.escape(dialect.separator)
        field = rf'"(?:[^"]|"")*"|[^"{end}]*' if dialect.quotes else rf"[^{end}]*"
        self._csv_marks = re.compile(rf"(?:(?:{field}){end}){{2}}")
        self._file: IO[bytes] | None = None
        self._is_marked = header_text is not None and header_text.startswith(
            self._mark(PLACE, REASON)
        )

    def go_on(self, size: int | None) -> None:
        """Continue the file of an interrupted import at this size; None starts a new file.

        The file of an earlier import is renamed, because it may contain corrections.
        """
        if size is not None and self.path.exists():
            self._file = self.path.open("r+b")
            self._file.truncate(size)
            self._file.seek(size)
        elif self.path.exists():
            self.path.replace(self.path.with_name(self.path.name + ".old"))

    def write(self, *, place: str, reason: str, text: str) -> None:
        """Append a row; `text` is the row as it was read."""
        text = self._bare(text)
        if self._header_text is not None:
            self._put(self._mark(place, reason), text)
        else:
            self._put(*_marked_json(place, reason, text))

    def size(self) -> int | None:
        """Flush the file and return its size; None if there is no file."""
        if self._file is None:
            return None
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _put(self, marks: str, text: str) -> None:
        if self._file is None:
            self._file = self.path.open("wb")
            if self._header_text is not None:
                self._put(self._mark(PLACE, REASON), self._bare(self._header_text))
        # A reason may contain characters that the encoding lacks.
        self._file.write(marks.encode(self._encoding, "backslashreplace"))
        line = text if text.endswith("\n") else text + "\n"
        self._file.write(line.encode(self._encoding, "surrogateescape"))

    def _mark(self, *fields: str) -> str:
        separator = self._dialect.separator
        if not self._dialect.quotes:
            return "".join(one.replace(separator, "_") + separator for one in fields)
        marks = io.StringIO()
        csv.writer(marks, delimiter=separator, lineterminator="").writerow(fields)
        return marks.getvalue() + separator

    def _bare(self, text: str) -> str:
        """Return a row without the marks of an earlier rejects file."""
        if self._header_text is None:
            return (
                JSON_MARKS.sub("{", text, count=1) if JSON_MARKS.match(text) else text
            )
        return self._csv_marks.sub("", text, count=1) if self._is_marked else text


def _marked_json(place: str, reason: str, text: str) -> tuple[str, str]:
    marks = json.dumps({PLACE: place, REASON: reason})[:-1]
    rest = text.strip()
    if not rest.startswith("{"):
        return marks, f', "_text": {json.dumps(rest)}}}'
    rest = rest[1:].lstrip()
    return marks, rest if rest.startswith("}") else f", {rest}"
