"""What the service tells the person at the keyboard."""

from __future__ import annotations

import contextlib
import sys


def say(line: str = "") -> None:
    """Print a line at once. A terminal that is gone must not stop the service."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
