"""Hourly maintenance jobs, run by beat. They log what they did."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from django.db import ProgrammingError
from psycopg.errors import InsufficientPrivilege

from counters.errors import NotAnchored
from counters.namespaces import deletion
from counters.partitions import create, reindex
from counters.recording import duplicates
from rollups.folding import retention

logger = logging.getLogger(__name__)

# A day has two indexes. A round rebuilds only two, so that a first run with months of old
# indexes is spread over many hours.
REINDEXED_A_ROUND = 2


@dataclass(frozen=True, slots=True)
class ClearedAway:
    """How many expired rows were removed."""

    claims: int
    orphans: int


def clear_away() -> ClearedAway:
    """Remove expired claims, and rows of counters that were deleted during an add."""
    return ClearedAway(duplicates.drop_expired(), deletion.remove_orphans())


def make_partitions() -> None:
    """Create the partitions of the coming days, and of events in the default partition."""

    def make() -> None:
        for made in [*create.make_ahead(), *create.make_for_strays()]:
            logger.info("Created the partition %s.", made.name)

    _as_owner(make)


def close_partitions() -> None:
    """Archive and drop partitions past retention; log which ones are kept longer, and why."""

    def close() -> None:
        for outcome in retention.close_due():
            name, reason = outcome.partition.name, outcome.kept_because
            if reason is None:
                logger.info(
                    "Archived the partition %s: %d events.", name, outcome.events
                )
            else:
                logger.info("Kept the partition %s: %s.", name, reason)
        for table in retention.drop_closed():
            logger.info("Dropped %s.", table)

    try:
        _as_owner(close)
    except NotAnchored as error:
        logger.error("No partition is archived: %s", error.message)


def reindex_partitions() -> None:
    """Rebuild the two oldest indexes for which it saves enough space."""

    def rebuild() -> None:
        for done in reindex.rebuild_due(most=REINDEXED_A_ROUND):
            index = done.index
            if done.bytes_after is None:
                logger.info("Left the index %s: %s.", index.name, done.kept_because)
            else:
                logger.info(
                    "Rebuilt the index %s: %d bytes in place of %d.",
                    index.name,
                    done.bytes_after,
                    index.size_bytes,
                )

    _as_owner(rebuild)


def _as_owner(work: Callable[[], None]) -> None:
    """Run a job; if this role does not own the tables, log once who has to run it."""
    try:
        work()
    except ProgrammingError as error:
        if not isinstance(error.__cause__, InsufficientPrivilege):
            raise
        logger.warning(
            "The database role of this process owns no tables, so it cannot maintain them:"
            " run `manage.py counters partitions --make --close --reindex` hourly as the owner. No add fails"
            " without it. (%s)",
            str(error).strip(),
        )
