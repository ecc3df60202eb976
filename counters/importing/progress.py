"""The progress file: how far an import has come, so that it can go on after Ctrl-C."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Totals:
    """What an import has done so far, its interrupted beginnings included."""

    rows: int = 0
    events: int = 0
    added: int = 0
    duplicates: int = 0
    # Rows, not events: a row of which one event is refused counts once.
    rejected: int = 0
    # Events that housekeeping may drop at once, with the memory of their tokens.
    older_than_retention: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Progress:
    """The place behind the last row whose events are committed, and the totals there."""

    input: str
    options: str
    offset: int = 0
    line: int = 0
    rejects_size: int | None = None
    totals: Totals = field(default_factory=Totals)


def read(path: Path) -> Progress | None:
    """Return what the file says; None where there is none, or no such file of ours."""
    try:
        found = json.loads(path.read_text())
        return Progress(**{**found, "totals": Totals(**found["totals"])})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def write(path: Path, progress: Progress) -> None:
    """Replace the file at once: a crash leaves the old one or the new one."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(asdict(progress)) + "\n")
    new.replace(path)
