"""Check the options of an import."""

from __future__ import annotations

import codecs
import hashlib
import json
import stat
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from counters.importing.errors import CannotImport

STDIN = "-"
FORMATS = ("auto", "csv", "ndjson")
# Names of characters that are hard to type.
DELIMITERS = {"tab": "\t", "\\t": "\t"}
UTF_8_WITH_MARK = "utf-8-sig"
# Codecs for domain names and Python's source. Some lack the error handlers that rejects need.
NOT_OF_FILES = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The checked options of one import."""

    file: str
    namespace: str
    counters: tuple[str, ...]
    delta: str = "1"
    time: str | None = None
    at: datetime | None = None
    time_zone: str | None = None
    time_format: str = "iso"
    key: tuple[str, ...] = ()
    token: str | None = None
    source: str | None = None
    format: str = "auto"
    delimiter: str | None = None
    encoding: str = "utf-8"
    # False: a quote is an ordinary character.
    quotes: bool = True
    # True: a quoted value may contain line breaks.
    multiline: bool = False
    batch_rows: int = 5_000
    rejects: Path | None = None
    max_rejects: int | None = None
    dry_run: bool = False
    resume: bool = True

    def __post_init__(self) -> None:
        if self.time is not None and self.at is not None:
            raise CannotImport("--time and --at exclude each other; give one of them.")
        if self.time is None:
            if self.time_zone is not None:
                raise CannotImport("--time-zone needs --time.")
            if self.time_format != Options.time_format:
                raise CannotImport("--time-format needs --time.")
        if self.key and self.token is not None:
            raise CannotImport(
                "--key and --token exclude each other; give one of them."
            )
        if self.multiline and not self.quotes:
            raise CannotImport(
                "--multiline and --no-quotes cannot be used together: a line break can be part"
                " of a value only in quotes."
            )
        for number, counter in enumerate(self.counters):
            if counter in self.counters[:number]:
                raise CannotImport(
                    f"--counter {counter!r} is given twice, so each row would count twice. Give"
                    " it once."
                )
        if self.source == "":
            raise CannotImport(
                "--source is empty. Give a name, or leave it out to use the file's name."
            )
        _check_encoding(self.encoding)
        if self.delimiter is not None and len(self.separator or "") != 1:
            raise CannotImport(
                f"--delimiter {self.delimiter!r} is not one character, or 'tab'."
            )
        if self.rejects_file == Path(self.file):
            raise CannotImport("--rejects names the input file itself.")

    @property
    def from_stdin(self) -> bool:
        """Tell whether the input is a pipe, which is read only once: standard or named."""
        try:
            return self.file == STDIN or not stat.S_ISREG(
                Path(self.file).stat().st_mode
            )
        except (OSError, ValueError):
            # Opening the file will say what is wrong.
            return False

    @property
    def separator(self) -> str | None:
        """Return the delimiter as one character; None if the format decides."""
        return DELIMITERS.get(self.delimiter or "", self.delimiter)

    @property
    def rejects_file(self) -> Path:
        name = "stdin" if self.from_stdin else self.file
        return self.rejects or Path(f"{name}.rejects")

    @property
    def keeps_progress(self) -> bool:
        """Tell whether an interrupted import of the file can continue."""
        return not self.from_stdin and not self.dry_run and self.resume

    def digest(self, contents: str) -> str:
        """Return a fingerprint of the file's contents and the options that affect its events."""
        options = asdict(self) | {"contents": contents}
        for harmless in ("file", "batch_rows", "max_rejects", "resume"):
            del options[harmless]
        text = json.dumps(options, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def _check_encoding(encoding: str) -> None:
    try:
        name = codecs.lookup(encoding).name
        if name == UTF_8_WITH_MARK:
            return
        if name in NOT_OF_FILES:
            raise CannotImport(
                f"--encoding {encoding!r} is not an encoding of files. Use one such as utf-8,"
                " latin-1 or cp1252."
            )
        as_ascii = "\n".encode(encoding) == b"\n"
    # A NUL in the name is a ValueError.
    except (LookupError, ValueError) as error:
        raise CannotImport(
            f"--encoding {encoding!r} is not known to Python."
        ) from error
    if not as_ascii:
        raise CannotImport(
            f"--encoding {encoding!r} cannot be read line by line; convert the file first:"
            f" iconv -f {encoding} -t utf-8 FILE | manage.py counters import - ..."
        )
