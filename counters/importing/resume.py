"""Store the progress of an import, so that it can continue after Ctrl-C or a crash.

The place is committed together with the rows before it. A file could be behind; and a row
that is read again is a duplicate only as long as its event is kept.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from counters.models import ImportProgress, Namespace


@dataclass(slots=True)
class Totals:
    """Totals of an import, including its interrupted runs."""

    rows: int = 0
    events: int = 0
    added: int = 0
    duplicates: int = 0
    # Duplicates after a row that was new.
    late_duplicates: int = 0
    # Rows, not events: a row of which one event is refused counts once.
    rejected: int = 0
    # Events that housekeeping may drop at once, with the memory of their tokens.
    older_than_retention: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Progress:
    """The position after the last committed row, and the totals up to it."""

    offset: int = 0
    line: int = 0
    rejects_size: int | None = None
    totals: Totals = field(default_factory=Totals)


def read(namespace: Namespace, digest: str) -> Progress | None:
    """Return how far an import of these contents and options has come; None if never begun."""
    found = ImportProgress.objects.filter(namespace=namespace, digest=digest).first()
    if found is None:
        return None
    return Progress(**{**found.place, "totals": Totals(**found.place["totals"])})


def keep(namespace: Namespace, digest: str, progress: Progress) -> None:
    """Keep the progress, in the transaction that commits its rows."""
    ImportProgress.objects.update_or_create(
        namespace=namespace, digest=digest, defaults={"place": asdict(progress)}
    )


def forget(namespace: Namespace, digest: str) -> None:
    """Delete the progress of a complete import."""
    ImportProgress.objects.filter(namespace=namespace, digest=digest).delete()
