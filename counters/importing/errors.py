"""Errors of imports."""

from __future__ import annotations

import zipfile
import zlib

# What Python raises if a file, or its packed contents, ends too early or is damaged.
DAMAGED = (EOFError, OSError, zlib.error, zipfile.BadZipFile)


class CannotImport(Exception):
    """The import cannot start because an option or the file is not valid."""


class InputBroken(Exception):
    """The input cannot be read further, for example a truncated .gz file."""


class QuoteOpen(InputBroken):
    """A quote is not closed, so no later line is known to begin a row."""


class BadRow(Exception):
    """A row cannot be imported. The message is the reason."""
