"""Store the progress of an import, so that it can continue after Ctrl-C or a crash.

The place is committed in the transaction of the rows before it. A file on disk could lag
behind the rows. The rows in between would be read again, and would count again if their events
are no longer kept.
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
    # Rows, not events: a row with several refused events counts once.
    rejected: int = 0
    # Events that retention may drop at once, and their tokens with them.
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
    """Return the progress of the import with this digest; None if it has not begun."""
    found = ImportProgress.objects.filter(namespace=namespace, digest=digest).first()
    if found is None:
        return None
    return Progress(**{**found.place, "totals": Totals(**found.place["totals"])})


def keep(namespace: Namespace, digest: str, progress: Progress) -> None:
    """Store the progress; call it in the transaction that commits the rows."""
    ImportProgress.objects.update_or_create(
        namespace=namespace, digest=digest, defaults={"place": asdict(progress)}
    )


def forget(namespace: Namespace, digest: str) -> None:
    """Delete the progress of a complete import."""
    ImportProgress.objects.filter(namespace=namespace, digest=digest).delete()
