"""Clear counters. The count becomes 0; no event is deleted.

A compensating event subtracts the accurate total. One lock on the rollup covers the read of the
total and the write of the event, so no other clear and no fold runs in between. An add that
commits in between is not subtracted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from counters.db import clock
from counters.db.statements import fetch
from counters.db.transactions import own_transaction
from counters.errors import CounterNotFound, InvalidValue, NotForBestEffort
from counters.models import Namespace
from counters.namespaces import best_effort, lookup
from counters.recording import batch, names, tokens
from counters.recording.duplicates import find_first_events
from counters.recording.validation import DELTA_MAX, TokenedEvent, check_generation_time
from rollups.folding.cluster_identity import anchored_only

# A total beyond one event's range takes several events. This limit is never reached in practice.
MOST_EVENTS = batch.BATCH_EVENTS


@dataclass(frozen=True, slots=True)
class Cleared:
    """The result of a clear: the count before, the token and the event time."""

    counter_id: int | None
    token: str | None
    event_time: datetime
    duplicate: bool
    # None for a duplicate, because the first answer contained the count.
    count_before: int | None


def clear(
    *,
    namespace: str,
    name: str,
    token: tokens.GivenToken | None = None,
    generation_time: datetime | None = None,
) -> Cleared:
    """Set the count to 0; a duplicate changes nothing.

    A clear and an add may use the same token. Waits for a running fold of this counter.
    Raises NamespaceNotFound, CounterNotFound, InvalidValue, OutsideAcceptWindow,
    NotAnchored.
    """
    found = lookup.get(namespace)
    name = names.check(name)
    now = clock.now()
    if best_effort.applies_to(found):
        given = token is not None or generation_time is not None
        return _clear_best_effort(found, name, now, given=given)
    check_generation_time(generation_time)
    parsed = (
        tokens.new(generation_time or now)
        if token is None
        else tokens.parse(tokens.as_text(token), generation_time)
    )
    event_time = parsed.event_time or now
    carried = generation_time is None and parsed.event_time is not None
    lookup.check_event_time(found, event_time, now, carried=carried)
    with anchored_only(), own_transaction():
        locked = fetch(
            connection, "rollups", "lock_for_clear", namespace_id=found.pk, name=name
        )
        if not locked:
            raise CounterNotFound(namespace, name)
        [(counter_id,)] = locked
        marker = _event(found, name, parsed, event_time, 0, part=0)
        first_time = _first_time(marker, counter_id)
        if first_time is not None:
            return Cleared(counter_id, parsed.text, first_time, True, None)
        # A statement of its own, so that its snapshot is newer than the lock.
        rows = fetch(
            connection, "rollups", "read_accurate", namespace_id=found.pk, name=name
        )
        total = int(rows[0][1])
        batch.add_all(
            [
                _event(found, name, parsed, event_time, -part, number)
                for number, part in enumerate(_parts(total))
            ]
        )
    return Cleared(counter_id, parsed.text, event_time, False, total)


def _clear_best_effort(
    namespace: Namespace, name: str, now: datetime, *, given: bool
) -> Cleared:
    if given:
        raise NotForBestEffort(namespace.name, "tokens and no event times")
    count = best_effort.clear(namespace, name)
    if count is None:
        raise CounterNotFound(namespace.name, name)
    return Cleared(None, None, now, duplicate=False, count_before=count)


def _event(
    namespace: Namespace,
    name: str,
    token: tokens.Token,
    event_time: datetime,
    delta: int,
    part: int,
) -> TokenedEvent:
    """Return a compensating event under a token of its own, derived from the clear's."""
    # Control characters: no client's token can be the same text.
    text = f"\x01clear\x01{part}\x01{token.text}"
    derived = tokens.Token(text, tokens.digest(text), token.event_time)
    return TokenedEvent(namespace, name, derived, event_time, delta)


def _first_time(marker: TokenedEvent, counter_id: int) -> datetime | None:
    """Return the event time of the token's first clear, or None if there is none."""
    return find_first_events([(marker, counter_id)])[0][0]


def _parts(total: int) -> Iterator[int]:
    """Yield the total in parts that each fit an event; 0 is one part, which stores the token."""
    if abs(total) > MOST_EVENTS * DELTA_MAX:
        raise InvalidValue("count", total, "a count that a clear can take off at once")
    if total == 0:
        yield 0
    while total:
        piece = max(min(total, DELTA_MAX), -DELTA_MAX)
        yield piece
        total -= piece
