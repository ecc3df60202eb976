"""What can go wrong when a file is imported."""

from __future__ import annotations

import zipfile
import zlib

# What Python raises if a file, or its packed contents, ends too early or is damaged.
DAMAGED = (EOFError, OSError, zlib.error, zipfile.BadZipFile)


class CannotImport(Exception):
    """The import cannot begin: an option or the file is not as it should be."""


class InputBroken(Exception):
    """The input cannot be read any further: a truncated .gz, say."""


class BadRow(Exception):
    """One row that cannot be imported; the message is the reason."""
